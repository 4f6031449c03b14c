// Comfort only: every page works without this.
"use strict";
(() => {
	const root = document.documentElement;

	// Absolute times in the reader's own zone.
	const full = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "long" });
	const local = scope => {
		for (const t of scope.querySelectorAll("time[datetime]")) t.title = full.format(new Date(t.dateTime));
	};
	local(document);
	new MutationObserver(changes => {
		for (const c of changes) for (const n of c.addedNodes) if (n.nodeType === 1) local(n);
	}).observe(document.body, { childList: true, subtree: true });

	// Menus close on Escape and when somebody goes elsewhere.
	const menus = document.querySelectorAll("details.menu");
	document.addEventListener("click", e => {
		for (const m of menus) if (m.open && !m.contains(e.target)) m.open = false;
	});
	for (const m of menus) m.addEventListener("focusout", e => {
		if (e.relatedTarget && !m.contains(e.relatedTarget)) m.open = false;
	});

	// A form that is on its way is not sent twice.
	for (const f of document.querySelectorAll('form[method="post"]')) f.addEventListener("submit", e => {
		if (f.dataset.sent) { e.preventDefault(); return; }
		f.dataset.sent = "1";
	});
	addEventListener("pageshow", () => {
		for (const f of document.querySelectorAll("form[data-sent]")) delete f.dataset.sent;
	});

	// Fields are sent as soon as they are chosen, where a form asks for it.
	for (const f of document.querySelectorAll("form[data-live]")) f.addEventListener("change", () => f.requestSubmit());

	// Copying what stands in an element.
	for (const b of document.querySelectorAll("button[data-copy]")) {
		b.hidden = false;
		b.addEventListener("click", async () => {
			const from = document.getElementById(b.dataset.copy);
			await navigator.clipboard.writeText("value" in from ? from.value : from.textContent.trim());
			const said = document.createElement("span");
			said.className = "said";
			said.role = "status";
			b.after(said);
			said.textContent = document.body.dataset.copied;
			setTimeout(() => said.remove(), 4000);
		});
	}

	// Shortcuts: never while somebody types, and only where they are wanted.
	const dialog = document.getElementById("shortcuts");
	let first = "";
	let timer;
	const rows = () => [...document.querySelectorAll("[data-row]")];
	const move = by => {
		const all = rows();
		if (!all.length) return;
		const at = all.findIndex(r => r.contains(document.activeElement));
		const to = all[Math.min(Math.max(at + by, 0), all.length - 1)];
		(to.matches("a, button") ? to : to.querySelector("a, button")).focus();
	};
	const press = selector => {
		const target = document.querySelector(selector);
		if (target) target.click();
	};
	document.addEventListener("keydown", e => {
		if (e.key === "Escape") {
			for (const m of menus) if (m.open) { m.open = false; m.querySelector("summary").focus(); }
		}
		if (root.dataset.keys === "off" || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
		if (e.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
		if (first === "g") {
			first = "";
			const go = document.querySelector(`[data-go="g ${CSS.escape(e.key)}"]`);
			if (go) { e.preventDefault(); location.href = go.href; return; }
		}
		switch (e.key) {
		case "/": {
			const box = document.getElementById("q");
			if (box) { e.preventDefault(); box.focus(); box.select(); }
			break;
		}
		case "g":
			first = "g";
			clearTimeout(timer);
			timer = setTimeout(() => { first = ""; }, 1500);
			break;
		case "j": move(1); break;
		case "k": move(-1); break;
		case "r": press("[data-key=r]"); break;
		case "c": press("[data-key=c]"); break;
		case "?": if (dialog.showModal) dialog.showModal(); break;
		}
	});
})();
