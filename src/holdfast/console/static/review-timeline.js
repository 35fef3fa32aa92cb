// The timeline: what is seen by class, movement, a chosen part; zoomed by wheel, dragged to scrub.
const STEPS = 600;
const LEAST = 2; // seconds that are shown at the closest

export function clockOf(seconds, digits = 0) {
  const unit = 10 ** digits;
  const all = Math.max(0, Math.round(seconds * unit)) / unit;
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  const rest = (all % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export class Timeline {
  constructor(root, data, url, { seek, colours }) {
    this.data = data;
    this.url = url;
    this.seek = seek;
    this.colours = colours;
    this.canvas = root.querySelector("canvas");
    this.preview = root.querySelector(".preview");
    this.span = root.querySelector("#span");
    this.length = Math.max(data.duration, 0.04);
    this.from = 0;
    this.to = this.length;
    this.now = 0;
    this.chosen = [null, null];
    this.activity = null;
    root.querySelector("svg").remove();
    this.canvas.hidden = false;
    root.querySelector(".zoom").hidden = false;
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom({ in: 0.5, out: 2, all: Infinity }[button.dataset.zoom]));
    }
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.dragged = true;
      this.seek(this.timeAt(event));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.dragged) this.seek(this.timeAt(event));
      this.hover(event);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(name, () => { this.dragged = false; });
    }
    this.canvas.addEventListener("pointerleave", () => { this.preview.hidden = true; });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.load();
  }

  timeAt(event) {
    const area = this.canvas.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - area.left) / area.width));
    return this.from + share * (this.to - this.from);
  }

  wheel(event) {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (event.deltaX / this.canvas.clientWidth) * (this.to - this.from);
      this.view(this.from + by, this.to + by);
    } else {
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event));
    }
  }

  zoom(factor, around = this.now) {
    if (factor === Infinity) { this.view(0, this.length); return; }
    const wide = Math.min(this.length, Math.max(Math.min(LEAST, this.length), (this.to - this.from) * factor));
    const share = Math.min(1, Math.max(0, (around - this.from) / (this.to - this.from)));
    this.view(around - share * wide, around + (1 - share) * wide);
  }

  view(from, to) {
    const wide = to - from;
    this.from = Math.max(0, Math.min(from, this.length - wide));
    this.to = Math.min(this.length, this.from + wide);
    this.draw();
    clearTimeout(this.wait);
    this.wait = setTimeout(() => this.load(), 150);
  }

  async load() {
    this.control?.abort();
    this.control = new AbortController();
    const query = `since=${this.from}&until=${Math.max(this.to, this.from + 1)}&steps=${STEPS}`;
    try {
      const answer = await fetch(`${this.url}/activity?${query}`, { signal: this.control.signal });
      if (answer.ok) this.activity = await answer.json();
    } catch (error) {
      if (error.name !== "AbortError") console.warn("the timeline can't be had:", error);
    }
    this.draw();
  }

  at(time) {
    this.now = time;
    const wide = this.to - this.from;
    if (!this.dragged && wide < this.length && (time < this.from || time > this.to)) this.view(time - wide * 0.1, time + wide * 0.9);
    else this.draw();
  }

  draw() {
    const sharp = window.devicePixelRatio || 1;
    const wide = this.canvas.clientWidth;
    const tall = this.canvas.clientHeight;
    this.canvas.width = Math.round(wide * sharp);
    this.canvas.height = Math.round(tall * sharp);
    const pen = this.canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const x = (time) => ((time - this.from) / (this.to - this.from)) * wide;
    const floor = tall - 26;
    const shown = getComputedStyle(this.canvas);
    this.drawActivity(pen, x, floor);
    for (const each of this.data.segments) {
      if (each.to < this.from || each.from > this.to) continue;
      pen.fillStyle = each.seen ? this.colours.quiet : this.colours.accent;
      pen.fillRect(x(each.from), floor + 3, Math.max(1.5, x(each.to) - x(each.from)), 6);
    }
    const [begin, end] = this.chosen;
    if (begin !== null) {
      pen.fillStyle = this.colours.accent;
      pen.globalAlpha = 0.18;
      pen.fillRect(x(begin), 0, Math.max(2, x(end ?? begin) - x(begin)), floor);
      pen.globalAlpha = 1;
    }
    pen.fillStyle = shown.color;
    pen.font = "11px ui-sans-serif, system-ui, sans-serif";
    const step = stepOf((this.to - this.from) / Math.max(2, wide / 90));
    for (let tick = Math.ceil(this.from / step) * step; tick <= this.to; tick += step) {
      pen.globalAlpha = 0.35;
      pen.fillRect(x(tick), floor + 10, 1, 4);
      pen.globalAlpha = 0.75;
      const text = clockOf(tick, step < 1 ? 1 : 0);
      const left = Math.min(x(tick) + 3, wide - pen.measureText(text).width);
      pen.fillText(text, left, tall - 2);
    }
    pen.globalAlpha = 1;
    pen.fillRect(x(this.now) - 1, 0, 2, tall - 14);
    this.span.textContent = `${clockOf(this.from)} – ${clockOf(this.to)}`;
  }

  drawActivity(pen, x, floor) {
    const found = this.activity;
    if (!found) return;
    const most = Math.max(1, ...found.labels.map((each) => Math.max(...each.tracks)));
    found.labels.forEach((each, place) => {
      pen.fillStyle = this.colours.series[place % this.colours.series.length];
      pen.globalAlpha = 0.75;
      each.tracks.forEach((count, at) => {
        if (!count) return;
        const left = x(found.since + at * found.step);
        const right = x(found.since + (at + 1) * found.step);
        const high = (count / most) * (floor - 4);
        pen.fillRect(left, floor - high, Math.max(1, right - left - 0.5), high);
      });
    });
    pen.globalAlpha = 1;
  }

  hover(event) {
    const strip = this.data.strip;
    const time = this.timeAt(event);
    const area = this.canvas.getBoundingClientRect();
    this.preview.hidden = false;
    const style = this.preview.style;
    const wide = strip ? strip.width : 80;
    style.width = `${wide}px`;
    style.height = strip ? `${strip.height}px` : "20px";
    if (strip) {
      const place = Math.min(strip.pictures - 1, Math.floor(time / strip.interval));
      style.backgroundImage = `url("${this.data.stripUrl}")`;
      style.backgroundPosition = `-${(place % strip.columns) * strip.width}px -${Math.floor(place / strip.columns) * strip.height}px`;
    }
    style.left = `${Math.min(Math.max(0, event.clientX - area.left - wide / 2), area.width - wide)}px`;
    const label = this.preview.firstChild ?? this.preview.appendChild(document.createElement("span"));
    label.textContent = clockOf(time, 1);
  }
}

function stepOf(least) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];
  return steps.find((each) => each >= least) ?? 86400 * Math.ceil(least / 86400);
}
