(function () {
  var d = document, path = d.body.getAttribute("data-seen"), timer, sent;
  // A page that somebody really looks at is visible for a second. A fetch by a
  // scanner or a preview is not, and a GET must change nothing.
  function arm() {
    clearTimeout(timer);
    if (!sent && d.visibilityState === "visible") timer = setTimeout(tell, 1000);
  }
  function tell() {
    sent = true;
    if (navigator.sendBeacon && navigator.sendBeacon(path)) return;
    if (window.fetch) fetch(path, { method: "POST", keepalive: true, credentials: "omit" });
  }
  if (path) { d.addEventListener("visibilitychange", arm); arm(); }
  // A slow network must not look like a dead button. Coming back by the
  // browser's back button finds the form as it was.
  var forms = d.querySelectorAll("form[data-busy]");
  function busy(on) { return function (f) { on ? f.setAttribute("aria-busy", "true") : f.removeAttribute("aria-busy"); }; }
  [].forEach.call(forms, function (f) { f.addEventListener("submit", function () { busy(true)(f); }); });
  window.addEventListener("pageshow", function () { [].forEach.call(forms, busy(false)); });
})();
