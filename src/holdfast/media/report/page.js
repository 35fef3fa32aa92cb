"use strict";
(() => {
  const root = document.documentElement;
  const video = document.querySelector("video");
  const chart = document.querySelector(".chart");
  root.classList.add("ready");

  let clip = null; // what is being played up to its end: { end, row }

  const leaveClip = () => {
    clip?.row.removeAttribute("aria-current");
    clip = null;
  };

  const seek = (seconds) => {
    leaveClip();
    video.currentTime = seconds;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    video.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
    // A browser may refuse to play by itself; the frame is shown all the same.
    video.play().catch((refusal) => console.info("not played by itself:", refusal.name));
  };

  const playClip = (link) => {
    seek(Number(link.dataset.seek));
    clip = { end: Number(link.dataset.end), row: link.closest("tr") };
    clip.row.setAttribute("aria-current", "true");
  };

  const stopAtEnd = () => {
    if (!clip) return;
    if (video.currentTime >= clip.end) {
      video.pause();
      leaveClip();
    } else if (!video.paused) requestAnimationFrame(stopAtEnd); // timeupdate comes 4 times a second
  };

  if (video) {
    for (const name of ["play", "timeupdate"]) video.addEventListener(name, stopAtEnd);
    document.addEventListener("click", (event) => {
      const target = event.target.closest("[data-seek]");
      if (target) {
        event.preventDefault();
        if (target.dataset.end) playClip(target);
        else seek(Number(target.dataset.seek));
        return;
      }
      const across = chart && event.target.closest(".lanes, .plot");
      if (across) {
        const box = across.getBoundingClientRect();
        const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
        seek(share * Number(chart.dataset.length));
      }
    });
  }

  if (video && chart) {
    const heads = chart.querySelectorAll(".playhead");
    const length = Number(chart.dataset.length);
    const follow = () => {
      const place = Math.min((video.currentTime / length) * 100, 100) + "%";
      for (const head of heads) {
        head.setAttribute("x1", place);
        head.setAttribute("x2", place);
        head.classList.add("set");
      }
      if (!video.paused && !video.ended) requestAnimationFrame(follow);
    };
    for (const name of ["play", "seeked", "timeupdate"]) video.addEventListener(name, follow);
  }

  const words = new Intl.Collator();
  const compare = (a, b) => (typeof a === "number" ? a - b : words.compare(a, b));
  const valueOf = (cell) =>
    cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);

  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const rows = Array.from(body.rows, (row) => [valueOf(row.cells[head.cellIndex]), row]);
      rows.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
      body.append(...rows.map(([, row]) => row));
    });
  }
})();
