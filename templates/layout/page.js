(function () {
  var d = document, w = window, path = d.body.getAttribute("data-seen"), timer, sent, seen, moved;
  function each(list, f) { [].forEach.call(list, f); }
  // Some apps tell only scripts that this is their own browser.
  var inside = d.body.getAttribute("data-inside"), marks = {
    telegram: ["TelegramWebviewProxy", "TelegramWebviewProxyProto", "TelegramWebview"],
    app: ["ReactNativeWebView", "flutter_inappwebview"]
  };
  for (var app in marks) {
    if (inside && marks[app].some(function (n) { return w[n]; })) { inside = w.location.replace(inside + app); }
  }
  // Times in the zone of the device. The server knows only the zone that it was
  // told, and writes that or UTC: what it wrote stays as the title.
  var moment = d.body.getAttribute("data-time"), lang = d.documentElement.lang;
  each(d.querySelectorAll("time[datetime]"), function (t) {
    var at = new Date(t.getAttribute("datetime")), was = t.textContent, as = (lang === "en" ? "en-GB" : lang) + "-u-nu-latn";
    if (!moment || !w.Intl || isNaN(at)) return;
    try {
      var date = at.toLocaleDateString(as, { weekday: "long", day: "numeric", month: "long" });
      var clock = at.toLocaleTimeString(as, { hour: "numeric", minute: "2-digit" });
      if (!/[,،]/.test(was)) date = date.replace(/[,،]/, "");
      t.textContent = moment.replace("{date}", date).replace("{clock}", clock)
        .replace("{la}", at.getHours() === 1 ? "la" : "las").replace("{hour}", at.getHours()).replace("{minute}", ("0" + at.getMinutes()).slice(-2));
      t.title = was;
    } catch (e) { /* a browser without this language keeps what the server wrote */ }
  });
  // A visit is a page that was visible for a second and a hand that moved on
  // it. Scanners fetch pages, and some run their scripts; none has a hand.
  function arm() {
    clearTimeout(timer);
    if (!seen && d.visibilityState === "visible") timer = setTimeout(function () { seen = true; tell(); }, 1000);
  }
  function tell() {
    if (!path || sent || !seen || !moved) return;
    sent = true;
    var said = "js=1&g=1" + (w.navigator.webdriver ? "&auto=1" : "");
    if (navigator.sendBeacon && navigator.sendBeacon(path, said)) return;
    if (w.fetch) fetch(path, { method: "POST", body: said, keepalive: true, credentials: "omit" });
  }
  function hand(e) {
    if (moved || !e.isTrusted) return;
    moved = true;
    each(d.querySelectorAll("input[name=g]"), function (i) { i.value = "1"; });
    tell();
  }
  ["pointerdown", "pointermove", "touchstart", "wheel", "keydown", "click"].forEach(function (t) {
    w.addEventListener(t, hand, { capture: true, passive: true });
  });
  if (path) { d.addEventListener("visibilitychange", arm); arm(); }
  // A press says what the page saw.
  each(d.querySelectorAll("form[data-press]"), function (f) {
    [["js", "1"], ["g", ""], ["auto", w.navigator.webdriver ? "1" : ""]].forEach(function (p) {
      var i = d.createElement("input");
      i.type = "hidden"; i.name = p[0]; i.value = p[1];
      f.appendChild(i);
    });
  });
  // A slow network must not look like a dead button. Coming back by the
  // browser's back button finds the form as it was.
  var forms = d.querySelectorAll("form[data-busy]");
  function busy(on) { return function (f) { on ? f.setAttribute("aria-busy", "true") : f.removeAttribute("aria-busy"); }; }
  each(forms, function (f) { f.addEventListener("submit", function () { busy(true)(f); }); });
  w.addEventListener("pageshow", function () { each(forms, busy(false)); });
  // A busy page presses again for the person who pressed, while they look at it.
  each(d.querySelectorAll("form[data-retry]"), function (f) {
    var said = d.querySelector("[data-retry-said]"), due;
    function add(name) {
      var i = d.createElement("input");
      i.type = "hidden"; i.name = name; i.value = "1";
      f.appendChild(i);
    }
    function go() {
      if (!due || d.visibilityState !== "visible" || f.getAttribute("aria-busy")) return;
      due = false;
      add("retry");
      busy(true)(f);
      f.submit();
    }
    if (said) said.hidden = false;
    // Not all at once, when a service is back.
    setTimeout(function () { due = true; go(); }, f.getAttribute("data-retry") * 1000 * (1 + Math.random() / 4));
    d.addEventListener("visibilitychange", go);
  });
  // What can be asked for later shows itself then: a reload would take away what
  // is being typed.
  each(d.querySelectorAll("form[data-from]"), function (f) {
    setTimeout(function () {
      each(d.querySelectorAll("[data-until]"), function (p) { p.hidden = true; });
      f.hidden = false;
    }, f.getAttribute("data-from") * 1000);
  });
  each(d.querySelectorAll("[data-copy]"), function (b) {
    if (!navigator.clipboard) return;
    b.hidden = false;
    b.addEventListener("click", function () {
      navigator.clipboard.writeText(b.getAttribute("data-copy")).then(function () {
        d.querySelector("[data-copy-said]").textContent = b.getAttribute("data-copied");
      });
    });
  });
})();
