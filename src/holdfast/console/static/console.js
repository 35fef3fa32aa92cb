// What pages do beyond what a browser does by itself: local times, the palette, live parts, copies.
"use strict";

(() => {
  const base = document.body.dataset.console;
  const palette = document.getElementById("palette");

  // Times stand in UTC in the page; here they get the viewer's zone.
  const writer = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  function writeTimes(root) {
    for (const each of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const when = new Date(each.dateTime);
      if (Number.isNaN(when.valueOf())) continue;
      each.dataset.local = "";
      each.title = each.textContent;
      each.textContent = writer.format(when);
    }
  }

  // On a phone the navigation is wider than the screen: the entry of this page is brought into view.
  document.querySelector(".side nav a[aria-current]")
    ?.scrollIntoView({ inline: "center", block: "nearest", behavior: "instant" });

  // Forms that ask before they are sent: data-ask="Cancel the job?"
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // A click on an id copies it.
  document.addEventListener("click", async (event) => {
    const copied = event.target.closest("[data-copy]");
    if (!copied || !navigator.clipboard || String(getSelection())) return;
    await navigator.clipboard.writeText(copied.textContent);
    say("Copied");
  });

  function say(text) {
    const line = document.createElement("p");
    line.className = "notice good";
    line.textContent = text;
    document.getElementById("notices").replaceChildren(line);
  }

  // Live parts: <div data-live="URL"> gets events named by the ids of what they replace.
  function follow(place) {
    const button = document.querySelector(`[data-live-of="${place.id}"]`);
    let source = null;
    const begin = () => {
      source = new EventSource(place.dataset.live);
      for (const name of place.dataset.liveParts.split(" ")) {
        source.addEventListener(name, (event) => {
          const part = document.getElementById(name);
          if (!part) return;
          const held = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
          part.innerHTML = event.data;
          enliven(part);
          // Who is on a link by the keyboard stays on it.
          if (held) part.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
        });
      }
      source.addEventListener("end", () => { end(); location.reload(); });
      place.dataset.state = "live";
      if (button) { button.textContent = "Pause updates"; button.setAttribute("aria-pressed", "false"); }
    };
    const end = () => {
      source?.close();
      source = null;
      place.dataset.state = "paused";
      if (button) { button.textContent = "Follow"; button.setAttribute("aria-pressed", "true"); }
    };
    if (button) {
      button.hidden = false;
      button.addEventListener("click", () => (source ? end() : begin()));
    }
    addEventListener("pagehide", end);
    begin();
  }

  function enliven(root) {
    writeTimes(root);
    window.htmx?.process(root);
  }

  // The palette: Ctrl-K or / opens it, what is typed is looked for, arrows and Enter choose.
  function openPalette() {
    if (!palette || palette.open) return;
    palette.showModal();
    palette.querySelector("input").select();
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const asks = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing);
    if (asks && palette) { event.preventDefault(); openPalette(); }
  });
  if (palette) {
    const field = palette.querySelector("input");
    const found = document.getElementById("palette-found");
    const first = found.innerHTML;
    let asked = 0;
    let wait = null;
    const choices = () => [...found.querySelectorAll("a")];
    const choose = (index) => {
      const all = choices();
      all.forEach((each, place) => each.setAttribute("aria-selected", String(place === index)));
      all[index]?.scrollIntoView({ block: "nearest" });
    };
    const chosen = () => choices().findIndex((each) => each.getAttribute("aria-selected") === "true");
    async function look() {
      const mine = ++asked;
      const text = field.value.trim();
      if (!text) { found.innerHTML = first; choose(0); return; }
      const answer = await fetch(`${base}search?part=1&q=${encodeURIComponent(text)}`);
      if (mine !== asked || !answer.ok) return;
      found.innerHTML = await answer.text();
      enliven(found);
      choose(0);
    }
    field.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(look, 120); });
    field.addEventListener("keydown", (event) => {
      const all = choices();
      if (!all.length || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
      event.preventDefault();
      const at = Math.max(chosen(), 0);
      if (event.key === "Enter") { all[at].click(); return; }
      choose((at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length);
    });
    palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
    choose(0);
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-open-palette]") && palette) { event.preventDefault(); openPalette(); }
  });

  writeTimes(document);
  document.querySelectorAll("[data-live]").forEach(follow);
  document.addEventListener("htmx:load", (event) => writeTimes(event.target));
})();
