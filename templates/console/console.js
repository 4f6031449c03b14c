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

	// A form of its own page opens over the page that links to it. Its page is
	// fetched as it is, and what it answers is shown in its place; an answer that
	// leads elsewhere has done what was asked. Whatever fails leads to the page.
	const drawer = document.getElementById("drawer"), inside = document.getElementById("drawer-body");
	let opener = "";
	const fill = html => {
		const page = new DOMParser().parseFromString(html, "text/html").querySelector("main");
		if (!page || !page.querySelector("form")) return false;
		inside.replaceChildren(...page.childNodes);
		const form = inside.querySelector("form");
		const title = Object.assign(document.createElement("h2"), { id: "drawer-title", tabIndex: -1 }); // the page below has a first heading
		const heading = inside.querySelector("h1");
		title.textContent = heading.textContent;
		heading.replaceWith(title);
		if (!drawer.open) drawer.showModal();
		drawer.scrollTop = 0;
		const first = form.dataset.first && document.getElementById(form.dataset.first);
		const shown = inside.querySelector("[autofocus]") || inside.querySelector("#preview") || first || title;
		const target = shown.matches("fieldset") ? shown.querySelector("input:checked") || shown.querySelector("input") : shown;
		if (!target.matches("input, select, textarea, a, button")) target.tabIndex = -1;
		target.focus();
		if (target.value && target.matches("input[type=text], input[type=tel]")) target.select(); // a proposal: typing replaces it
		return true;
	};
	document.addEventListener("click", async e => {
		const link = e.target.closest("a[data-drawer]");
		if (!link || !drawer.showModal || e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
		e.preventDefault();
		opener = link.getAttribute("href");
		try {
			const answer = await fetch(link.href);
			if (answer.ok && !answer.redirected && fill(await answer.text())) return;
		} catch { /* the page says what is wrong */ }
		location.href = link.href;
	});
	inside.addEventListener("click", e => {
		const link = e.target.closest("a");
		if (!link || link.pathname !== location.pathname || link.hash) return;
		e.preventDefault();
		drawer.close();
	});
	inside.addEventListener("submit", async e => {
		const form = e.target;
		if (!e.submitter) return; // a browser that does not say which button was pressed: it may have been the preview's
		e.preventDefault();
		if (form.ariaBusy) return;
		form.ariaBusy = "true";
		const body = new URLSearchParams(new FormData(form)); // with the button as a second argument, older browsers leave it out
		if (e.submitter.name) body.set(e.submitter.name, e.submitter.value);
		try {
			const answer = await fetch(form.action, { method: "POST", redirect: "manual", body });
			// Not reload: what stands here may be a form's answer, which would be sent again.
			if (answer.type === "opaqueredirect") { location.href = document.querySelector("[data-stream]")?.dataset.stream || location.pathname; return; }
			if (fill(await answer.text())) return;
		} catch { /* sent again by the browser; the version in the form keeps it from being done twice */ }
		if (e.submitter) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: e.submitter.name, value: e.submitter.value }));
		form.submit();
	});
	drawer.addEventListener("close", () => {
		inside.replaceChildren();
		// The link may have been put there anew meanwhile.
		if (!document.activeElement?.matches("a[data-drawer]")) {
			(document.querySelector(`a[data-drawer][href="${CSS.escape(opener)}"]`) || document.querySelector("a[data-drawer], .now a"))?.focus();
		}
	});

	// Fields are sent as soon as they are chosen, where a form asks for it.
	for (const f of document.querySelectorAll("form[data-live]")) f.addEventListener("change", () => f.requestSubmit());

	// What a list offers follows what is typed, where the list is only a part of
	// what there is.
	const suggest = scope => {
		for (const field of scope.querySelectorAll("input[data-suggest]")) {
			const list = field.list;
			let timer, asked;
			field.addEventListener("input", () => {
				clearTimeout(timer);
				asked?.abort();
				const words = field.value.trim();
				if ([...list.options].some(o => o.value === words)) return;
				timer = setTimeout(async () => {
					asked = new AbortController();
					try {
						const answer = await fetch(field.dataset.suggest + "?q=" + encodeURIComponent(words), { signal: asked.signal });
						if (!answer.ok || answer.redirected) return;
						const found = new DOMParser().parseFromString(await answer.text(), "text/html");
						list.replaceChildren(...found.querySelectorAll("option"));
					} catch { /* the list stays as it is */ }
				}, 250);
			});
		}
	};
	suggest(document);

	// A part of a page that is in progress is read again until it is done. Nobody
	// who looks elsewhere, or whose focus is in it, is disturbed.
	const poll = () => {
		const part = document.querySelector("[data-poll]");
		if (!part) return;
		setTimeout(async () => {
			if (!document.hidden && !part.contains(document.activeElement)) {
				try {
					const answer = await fetch(location.href);
					const fresh = answer.ok && !answer.redirected && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
					if (fresh) part.replaceWith(fresh);
				} catch { /* the next time */ }
			}
			poll();
		}, 1000 * part.dataset.poll);
	};
	poll();

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

	// A page that follows its invite: what comes replaces what it is about, and
	// nothing else. What stays the same stays in its place, with the focus on it,
	// a press that has begun, and whatever was unfolded; so the status is said
	// only when its words have changed.
	const key = n => n.nodeType === 1 ? n.nodeName + " " + (n.dataset.at || n.getAttribute("href") || "") : n.nodeName;
	const renew = (old, fresh) => {
		if (old.isEqualNode(fresh)) return;
		for (const a of fresh.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
		for (const a of [...old.attributes]) if (!fresh.hasAttribute(a.name) && a.name !== "open") old.removeAttribute(a.name);
		const left = [...old.childNodes];
		const pairs = [...fresh.childNodes].map(n => {
			const at = left.findIndex(o => key(o) === key(n));
			return [at < 0 ? null : left.splice(at, 1)[0], n];
		});
		for (const gone of left) gone.remove();
		let next = old.firstChild;
		for (const [had, n] of pairs) {
			if (!had) { old.insertBefore(n, next); continue; }
			if (had === next) next = next.nextSibling; else old.insertBefore(had, next);
			if (had.nodeType === 1) renew(had, n); else if (had.data !== n.data) had.data = n.data;
		}
	};
	const followed = document.querySelector("[data-stream]");
	if (followed && "EventSource" in window) {
		const source = new EventSource(followed.dataset.stream);
		source.addEventListener("moved", e => {
			const fresh = new DOMParser().parseFromString(e.data, "text/html");
			for (const part of fresh.querySelectorAll("[data-part]")) {
				const old = document.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
				if (!old) continue;
				const focused = old.contains(document.activeElement) && document.activeElement;
				renew(old, part);
				local(old);
				if (focused && !focused.isConnected) old.querySelector("a, button")?.focus();
			}
		});
		// A session that single sign-on has to confirm ends the stream; opening the
		// page asks for that. An error of a proxy must not replace the page.
		source.addEventListener("error", async () => {
			if (source.readyState !== EventSource.CLOSED) return;
			const gone = new AbortController();
			const answer = await fetch(followed.dataset.stream, { headers: { Accept: "text/event-stream" }, signal: gone.signal }).catch(() => null);
			gone.abort();
			if (answer?.status === 401) location.reload();
		});
		addEventListener("pagehide", () => source.close());
	}

	// What is shown for a moment only. It is counted from when the page came, not
	// in a hidden tab's time.
	for (const n of document.querySelectorAll("[data-masked]")) {
		const until = Date.now() + n.dataset.after * 1000;
		const mask = () => { if (Date.now() >= until) n.textContent = n.dataset.masked; };
		setTimeout(mask, n.dataset.after * 1000 + 50);
		document.addEventListener("visibilitychange", mask);
		addEventListener("pageshow", mask);
	}
	for (const f of document.querySelectorAll("[data-fade]")) setTimeout(() => {
		for (const n of [...f.children]) if (!n.querySelector("a.button")) n.remove();
	}, f.dataset.fade * 1000);
})();
