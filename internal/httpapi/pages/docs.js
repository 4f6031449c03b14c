// Adds a button to each block of code that copies its text.
for (const pre of document.querySelectorAll("pre")) {
  if (!navigator.clipboard) break; // only on https and on this machine
  const box = document.createElement("div");
  const button = document.createElement("button");
  box.className = "code";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent.trimEnd());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  pre.replaceWith(box);
  box.append(pre, button);
}
