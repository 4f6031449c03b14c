// What a page owes to whoever looks at it, measured in the page itself. Defines
// measured, whose functions give faults as sentences; none is wanted.
var measured = (() => {
	const called = e => {
		const words = (e.getAttribute("aria-label") || e.textContent || e.value || "").replace(/\s+/g, " ").trim().slice(0, 40);
		return "<" + e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (typeof e.className === "string" && e.className ? "." + e.className.trim().replace(/\s+/g, ".") : "") + "> " + JSON.stringify(words);
	};
	// Some things are for screen readers only, or wait above the window.
	const seen = e => {
		if (!e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
		for (let a = e; a && a !== document.documentElement; a = a.parentElement) {
			const s = getComputedStyle(a);
			if (s.clipPath.startsWith("inset(50%")) return false;
			if (s.position === "absolute" && a.getBoundingClientRect().bottom + scrollY <= 0) return false;
		}
		return true;
	};
	const meet = (a, b) => Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

	// top is what one is at: the page, or the dialog that lies over it.
	const top = () => [...document.querySelectorAll("dialog:modal")].at(-1) || document.body;

	// texts are the pieces of text as they are laid out, line by line.
	const texts = () => {
		const out = [], walk = document.createTreeWalker(top(), NodeFilter.SHOW_TEXT);
		for (let n; (n = walk.nextNode());) {
			const e = n.parentElement;
			if (!n.data.trim() || e.closest("script, style, option, svg, dialog:not([open])") || !seen(e)) continue;
			const range = document.createRange();
			range.selectNodeContents(n);
			for (const box of range.getClientRects()) if (box.width > 1 && box.height > 1) out.push({ e, box });
		}
		return out;
	};

	const clips = s => /hidden|clip|auto|scroll/.test(s.overflowX + s.overflowY);

	const laidOut = () => {
		const faults = [], over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
		if (over > 0) {
			const out = [...document.querySelectorAll("body *")].filter(e => { const b = e.getBoundingClientRect(); return b.width > 0 && (b.right > innerWidth + 1 || b.left < -1); });
			faults.push("the page is " + over + " px too wide: " + out.slice(-3).map(called).join(", "));
		}
		const all = texts(), told = new Set();
		const tell = (e, fault) => { if (!told.has(e)) { told.add(e); faults.push(called(e) + " " + fault); } };
		for (const { e, box } of all) {
			if (box.right > innerWidth + 1 || box.left < -1) tell(e, "leaves the window");
			for (let a = e; a && a !== document.body; a = a.parentElement) {
				// What can be scrolled to is there.
				const s = getComputedStyle(a), port = a.getBoundingClientRect();
				if (/hidden|clip/.test(s.overflowX) && (box.right > port.right + 1 || box.left < port.left - 1) ||
					/hidden|clip/.test(s.overflowY) && (box.bottom > port.bottom + 2 || box.top < port.top - 2)) {
					tell(e, "is cut off by " + called(a));
					break;
				}
			}
		}
		// Lines are higher than their letters: what overlaps by less hides nothing.
		for (let i = 0; i < all.length; i++) for (let k = i + 1; k < all.length; k++) {
			const a = all[i], b = all[k];
			if (a.e !== b.e && meet(a.box, b.box) > 4) tell(a.e, "overlaps " + called(b.e));
		}
		for (const e of top().querySelectorAll("input:not([type=hidden]), select, textarea, button, img, iframe")) {
			if (!seen(e)) continue;
			const box = e.getBoundingClientRect();
			if (box.right > innerWidth + 1 || box.left < -1) tell(e, "leaves the window");
		}
		return faults;
	};

	// controls are fields and what looks like a button: with an edge of their own.
	const controls = () => [...top().querySelectorAll("button, a, summary, select, textarea, input:not([type=hidden], [type=radio], [type=checkbox])")]
		.filter(e => seen(e) && parseFloat(getComputedStyle(e).borderTopWidth) > 0 && getComputedStyle(e).borderTopStyle !== "none")
		.map(e => ({ e, box: e.getBoundingClientRect(), field: /^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName) }));

	// inLine holds what the eye sees before it reads: controls with room between
	// them, fields of a line at one height, the choice of a list to be read in full.
	const pen = document.createElement("canvas").getContext("2d");
	const inLine = () => {
		// A bar that stays at the top lies over the page that is scrolled: its distance to
		// the page's controls is measured where they are laid out.
		const scrolled = scrollY;
		scrollTo({ top: 0, behavior: "instant" });
		const faults = [], all = controls();
		for (let i = 0; i < all.length; i++) for (let k = i + 1; k < all.length; k++) {
			const a = all[i], b = all[k];
			if (a.e.contains(b.e) || b.e.contains(a.e)) continue;
			const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
			const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
			if (across > 4 && down > -3 && down <= 4 || down > 4 && across > -3 && across <= 4) faults.push(called(b.e) + " touches " + called(a.e));
			const off = Math.abs(a.box.top - b.box.top);
			if (a.field && b.field && a.e.form === b.e.form && down > 4 && off > .5 && off < 6) faults.push(called(b.e) + " is " + off.toFixed(1) + " px out of line with " + called(a.e));
		}
		for (const e of top().querySelectorAll("select:not([multiple])")) {
			if (!seen(e) || !e.selectedOptions[0]) continue;
			const s = getComputedStyle(e), arrow = 16;
			pen.font = s.font;
			const words = pen.measureText(e.selectedOptions[0].text).width, room = e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight) - arrow;
			if (words > room + 1) faults.push(called(e) + " cuts off " + JSON.stringify(e.selectedOptions[0].text));
		}
		for (const e of top().querySelectorAll("input[placeholder]")) {
			if (!seen(e) || e.value) continue;
			const s = getComputedStyle(e);
			pen.font = s.font;
			const words = pen.measureText(e.placeholder).width, room = e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
			if (words > room + 1) faults.push(called(e) + " cuts off " + JSON.stringify(e.placeholder));
		}
		// Words beside each other on a line share its base.
		const bases = texts().map(t => ({ ...t, s: getComputedStyle(t.e) }));
		const block = e => { while (e && /^inline/.test(getComputedStyle(e).display)) e = e.parentElement; return e; };
		for (let i = 1; i < bases.length; i++) {
			const a = bases[i - 1], b = bases[i], off = Math.abs(a.box.bottom - b.box.bottom);
			if (a.s.fontSize === b.s.fontSize && a.s.fontFamily === b.s.fontFamily && off > 1 && off < 6 && meet(a.box, b.box) <= 0 && block(a.e) === block(b.e)) faults.push(called(b.e) + " stands " + off.toFixed(1) + " px off the line of " + called(a.e));
		}
		scrollTo({ top: scrolled, behavior: "instant" });
		return faults;
	};

	// printed is what is of no use on paper, or cannot be read there.
	const printed = () => {
		const faults = [];
		for (const e of document.querySelectorAll("nav, button, input:not([type=hidden]), select, textarea, iframe, details:not([open])")) if (seen(e)) faults.push(called(e) + " is printed");
		for (const { e, box } of controls()) if (e.tagName === "A" && box.height <= 44) faults.push(called(e) + " is printed");
		for (const e of document.querySelectorAll("body *")) if (seen(e) && /fixed|sticky/.test(getComputedStyle(e).position) && !e.closest("dialog")) faults.push(called(e) + " stays in its place on paper");
		for (const e of document.querySelectorAll("thead")) if (getComputedStyle(e).display !== "table-header-group") faults.push("the head of a table is not repeated on each sheet");
		for (const { e } of texts()) {
			const [a, b] = [light(getComputedStyle(e).color), 1];
			if ((b + .05) / (a + .05) < 4.5) faults.push(called(e) + " is too pale for paper");
			if (light(ground(e)) < .6) faults.push(called(e) + " has a dark ground on paper");
		}
		return faults.filter((f, i) => faults.indexOf(f) === i);
	};

	// forced is what is current by a colour that forced colours take away.
	const forced = () => {
		const faults = [], look = e => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.borderTopColor, s.borderTopWidth, s.borderTopStyle, ground(e)].join(); };
		for (const e of document.querySelectorAll("a[aria-current]")) {
			const list = e.closest("nav, ul"), other = list && [...list.querySelectorAll("a:not([aria-current])")].find(a => a.className === e.className);
			if (seen(e) && other && look(e) === look(other)) faults.push(called(e) + " is marked as current by its colours alone");
		}
		return faults;
	};

	// targets holds WCAG 2.2, 2.5.8: 24 by 24 px, or as much room around, or a
	// link within a sentence.
	const targets = least => {
		const faults = [], all = [];
		for (const e of top().querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden])")) {
			if (e.disabled || !seen(e)) continue;
			const label = /^(radio|checkbox)$/.test(e.type) && e.closest("label");
			all.push({ e, box: (label || e).getBoundingClientRect() });
		}
		const small = b => b.width < least - .5 || b.height < least - .5;
		const centre = b => [b.left + b.width / 2, b.top + b.height / 2];
		for (const t of all) {
			if (!small(t.box)) continue;
			const text = getComputedStyle(t.e).display === "inline" && t.e.closest("p, li, dd, td, th, div");
			if (text && [...text.childNodes].some(n => n.nodeType === 3 && n.data.trim().length > 3)) continue;
			const [x, y] = centre(t.box);
			const near = least === 24 && all.every(o => {
				if (o === t || o.e.contains(t.e) || t.e.contains(o.e)) return true;
				const b = o.box;
				if (Math.hypot(Math.max(b.left - x, 0, x - b.right), Math.max(b.top - y, 0, y - b.bottom)) < 12) return false;
				const [ox, oy] = centre(b);
				return !small(b) || Math.hypot(ox - x, oy - y) >= 24;
			});
			if (!near) faults.push(called(t.e) + " is a target of " + Math.round(t.box.width) + " by " + Math.round(t.box.height) + " px");
		}
		return faults;
	};

	const built = (lang, dir) => {
		const faults = [], root = document.documentElement, heads = [...document.querySelectorAll("h1")].filter(seen);
		if (heads.length !== 1) faults.push("there are " + heads.length + " first headings");
		if (root.lang !== lang) faults.push("the language is said to be " + JSON.stringify(root.lang));
		if (root.dir !== dir || getComputedStyle(document.body).direction !== dir) faults.push("it runs " + root.dir);
		return faults;
	};

	// menus are what opens above a page; each is looked at while it is open.
	const menus = () => [...top().querySelectorAll("details.menu")].filter(seen).flatMap(m => {
		m.open = true;
		const faults = [], panel = m.querySelector("summary ~ *").getBoundingClientRect();
		if (panel.left < -1 || panel.right > innerWidth + 1) faults.push("the menu " + called(m.querySelector("summary")) + " leaves the window");
		faults.push(...targets(24).filter(f => !faults.includes(f)));
		m.open = false;
		return faults;
	});

	// Spacing as readers set it (WCAG 2.2, 1.4.12); a sheet that scripts adopt
	// needs no permission of the page's policy.
	const spaced = new CSSStyleSheet();
	spaced.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-block-end: 2em !important }");
	const space = on => { document.adoptedStyleSheets = on ? [spaced] : []; };

	// What the Tab key comes by.
	const stops = () => [...document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden]), iframe, [tabindex]")]
		.filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({ visibilityProperty: true }) && (e.type !== "radio" || e === chosen(e)));
	const chosen = e => {
		const group = [...document.querySelectorAll("input[type=radio]")].filter(r => r.name === e.name && r.form === e.form);
		return group.find(r => r.checked) || e; // of a group nobody chose from, any is the one that is come by
	};

	const light = colour => {
		const m = colour.match(/[\d.]+/g).map(Number);
		const [r, g, b] = m.slice(0, 3).map(v => colour.startsWith("color(") ? v : v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const ground = e => {
		for (let a = e; a; a = a.parentElement) {
			const c = getComputedStyle(a).backgroundColor;
			if (!/^rgba\(.*, 0\)$/.test(c) && c !== "transparent") return c;
		}
		return "rgb(255, 255, 255)";
	};

	// focus is whether whoever has only the keyboard sees where they are.
	const focus = e => {
		const s = getComputedStyle(e), faults = [], width = parseFloat(s.outlineWidth), off = parseFloat(s.outlineOffset);
		if (s.outlineStyle === "none" || !(width >= 2)) return [called(e) + " shows its focus by an outline of " + s.outlineStyle + " " + s.outlineWidth];
		const [a, b] = [light(s.outlineColor), light(ground(off >= 0 ? e.parentElement : e))].sort((x, y) => y - x);
		if ((a + .05) / (b + .05) < 3) faults.push(called(e) + " has an outline with a contrast of " + ((a + .05) / (b + .05)).toFixed(1));
		const box = e.getBoundingClientRect(), reach = Math.max(off, 0) + width;
		for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) {
			if (!clips(getComputedStyle(p))) continue;
			const port = p.getBoundingClientRect();
			if (box.left - reach < port.left - 1 || box.right + reach > port.right + 1 || box.top - reach < port.top - 1 || box.bottom + reach > port.bottom + 1) {
				faults.push(called(e) + " has its outline cut off by " + called(p));
				break;
			}
		}
		return faults;
	};

	// bare is whether something of e is in sight.
	const bare = e => [...e.getClientRects()].some(r => [[.5, .5], [.1, .2], [.9, .2], [.1, .8], [.9, .8]].some(([x, y]) => {
		const hit = document.elementFromPoint(r.left + r.width * x, r.top + r.height * y);
		return hit && (e.contains(hit) || hit.contains(e) && hit !== document.body && hit !== document.documentElement);
	}));

	// walk listens to the Tab key: it keeps what was come by, and what was wrong.
	let walk;
	const begin = () => {
		walk?.stop();
		const came = [], faults = [];
		let covered = null, unclear = null;
		const key = e => {
			if (e.key !== "Tab") return;
			const at = document.activeElement;
			came.push(at);
			// Within a field for a date it is the browser that shows where one is.
			const own = at !== document.body && at.tagName !== "IFRAME" && !(/^(date|time|month|week|datetime-local)$/.test(at.type) && !at.matches(":focus-visible"));
			if (!own || came.indexOf(at) < came.length - 1) return;
			unclear = focus(at).length > 0 ? at : null;
			covered = bare(at) ? null : at;
		};
		// The page may still be on its way to what has the focus, out of a frame for
		// one, or by scrolling: what is out of sight then has until the next press.
		const settle = () => {
			if (unclear) faults.push(...focus(unclear));
			if (covered && !bare(covered)) faults.push(called(covered) + " has the focus and is hidden behind something or outside the window");
			covered = unclear = null;
		};
		addEventListener("keyup", key, true);
		addEventListener("keydown", settle, true);
		walk = { came, faults, settle, stop: () => { removeEventListener("keyup", key, true); removeEventListener("keydown", settle, true); } };
		// The key goes on from where the focus was last, also after a blur: so it was
		// at the beginning of the page, last.
		const mark = Object.assign(document.createElement("span"), { tabIndex: -1 });
		document.body.prepend(mark);
		mark.focus();
		mark.remove();
		getSelection().removeAllRanges();
		scrollTo(0, 0);
		return stops().length;
	};
	const missed = () => {
		const radios = e => e.type === "radio" ? walk.came.some(c => c.type === "radio" && c.name === e.name && c.form === e.form) : false;
		return stops().filter(e => e.tagName !== "IFRAME" && !walk.came.includes(e) && !radios(e)).map(called);
	};
	const ended = () => {
		walk.settle();
		const faults = [...walk.faults, ...missed().map(m => "the Tab key never comes to " + m)];
		walk.stop();
		return faults;
	};
	// left is whether the focus has gone on to where it came from.
	const left = () => missed().length === 0 && (document.activeElement === document.body || walk.came.indexOf(document.activeElement) !== walk.came.lastIndexOf(document.activeElement) && walk.came.length > stops().length);

	// pressed counts the keys that came to the page itself, not to one of its frames.
	const pressed = () => walk.came.length;

	return { laidOut, inLine, printed, forced, targets, built, menus, space, begin, left, ended, pressed };
})();
