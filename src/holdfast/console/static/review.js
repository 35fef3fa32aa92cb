// A video's page: the picture with its boxes, frame by frame; transport, keys, regions, clips.
import { Boxes } from "./review-boxes.js";
import { Overlay, drawn } from "./review-overlay.js";
import { Queue } from "./review-queue.js";
import { Timeline, clockOf } from "./review-timeline.js";

const root = document.getElementById("review");
const data = JSON.parse(document.getElementById("review-data").textContent);
const { url, data: source, token } = root.dataset;
const at = (id) => document.getElementById(id);
const video = at("video");
const holder = at("picture");
const rate = data.rate[0] / data.rate[1];
data.stripUrl = `${url}/files/strip`;
root.classList.add("scripted");

const startOf = (time) => Math.floor(time * rate + 1e-3) / rate; // of the frame of a moment
let now = startOf(data.moment); // the time of the frame that is shown
let frame = Math.round(now * rate);
let sought = frame; // the frame that was asked for last
let reaching = false; // whether the player is on its way to that frame
let tries = 0;
let origin = null; // what the player's clock says at the first frame, once it is there

function say(text, tone = "good") {
  const line = document.createElement("p");
  line.className = `notice ${tone}`;
  line.textContent = text;
  at("notices").replaceChildren(line);
}

const overlay = new Overlay(at("overlay"), video, { width: data.width, height: data.height });
const boxes = new Boxes(`${source}/detections`, data.duration, () => show(now));
const colourOf = (place) => getComputedStyle(place).color;
const legend = [...root.querySelectorAll(".legend [class^=s]")];
const link = root.querySelector(".segment a, .skip, a") ?? document.querySelector("a");
const timeline = new Timeline(at("timeline"), data, source, {
  seek: (time) => seek(time),
  colours: {
    series: legend.length ? legend.map(colourOf) : [colourOf(link)],
    accent: colourOf(document.querySelector("a.button, .brand .icon, a")),
    quiet: colourOf(root.querySelector(".quiet") ?? document.body),
  },
});
const queue = new Queue(data, source, token, { seek, say, told: () => timeline.draw() });

// What is shown is told by the browser for each frame; without that, the clock of the player is.
function show(time) {
  now = time;
  frame = Math.round(time * rate);
  at("clock").textContent = clockOf(time, 3);
  at("frame").textContent = `frame ${frame}`;
  at("scrub").value = time;
  if (data.analysed && origin !== null && !video.hasAttribute("data-drawn")) {
    const found = boxes.at(time, 0.45 / rate);
    overlay.boxes = found ?? [];
    overlay.draw();
    if (found && video.paused) tabulate(found);
    overlay.canvas.dataset.frame = found ? frame : "";
    overlay.canvas.dataset.boxes = found ? JSON.stringify(found.map((each) => [each.frame, each.track, each.x, each.y, each.width, each.height])) : "";
    root.dataset.held = boxes.held;
  }
  timeline.at(time);
  queue.at(time);
}

// The table has the boxes of the frame at which the video stands.
function tabulate(found) {
  at("boxes-at").textContent = clockOf(now, 1);
  at("boxes-frame").textContent = `frame ${frame}`;
  at("boxes-none").hidden = found.length > 0;
  const table = at("boxes-table");
  table.hidden = !found.length;
  const rows = found.slice(0, 200).map((each) => {
    const row = document.createElement("tr");
    const place = `${Math.round(each.x)}, ${Math.round(each.y)}`;
    const size = `${Math.round(each.width)} × ${Math.round(each.height)}`;
    [each.track, each.label, each.score.toFixed(2), place, size].forEach((text, column) => {
      const cell = row.appendChild(document.createElement(column ? "td" : "th"));
      if (!column) cell.scope = "row";
      if (column > 1) cell.className = "n";
      cell.textContent = text;
    });
    return row;
  });
  table.querySelector("tbody").replaceChildren(...rows);
}
let follow = () => {};
let unfollow = () => {};
if ("requestVideoFrameCallback" in video) {
  let asked = 0;
  follow = () => {
    asked = video.requestVideoFrameCallback((_when, about) => {
      // After a seek the frame before it may be told once more, and then no other.
      const off = video.paused ? Math.abs(about.mediaTime - video.currentTime) : NaN;
      // Firefox tells the place that was sought, within the frame, for that frame's own time.
      const told = off < 1e-4 ? startOf(about.mediaTime - origin) : about.mediaTime - origin;
      if (origin !== null && !(off > 2 / rate)) show(told);
      follow();
    });
  };
  unfollow = () => video.cancelVideoFrameCallback(asked);
  follow();
} else {
  const tick = () => {
    show(startOf(video.currentTime - origin));
    if (!video.paused) requestAnimationFrame(tick);
  };
  video.addEventListener("play", tick);
}
// What is told during a seek is of the frame before it; what stands still may not be told at all.
video.addEventListener("seeking", unfollow);
video.addEventListener("seeked", () => {
  if (video.seeking || origin === null || !reached()) return;
  if (video.paused) show(startOf(video.currentTime - origin));
  unfollow();
  follow();
});

// A film that is still on its way is sought no further than the player knows it: then once more.
function reached() {
  const away = reaching && video.paused && Math.abs(video.currentTime - placeOf(sought)) > 1 / rate;
  reaching = away && tries < 50;
  if (!reaching) return true;
  tries += 1;
  setTimeout(() => { if (reaching && video.paused && !video.seeking) video.currentTime = placeOf(sought); }, 10 * tries);
  return false;
}
// The middle of a frame by the player's clock, so that rounding shows no other.
const placeOf = (which) => origin + (which + 0.5) / rate;

function seek(time) {
  const most = Math.max(0, data.duration - 0.5 / rate);
  sought = Math.floor(Math.min(Math.max(0, time), most) * rate + 1e-3);
  [reaching, tries] = [true, 0];
  if (origin !== null) video.currentTime = placeOf(sought);
}
// Where a file's own clock begins late, browsers count from there; results count from its first
// frame. With `#t=` in the address they would begin at a frame beside the one that was asked for.
function load(address) {
  origin = null;
  video.addEventListener("loadeddata", () => {
    origin = video.currentTime;
    seek(sought / rate);
  }, { once: true });
  video.src = address;
}
load(video.getAttribute("src").split("#")[0]);
function step(frames) {
  video.pause();
  seek(((reaching || origin === null ? sought : frame) + frames) / rate);
}
video.addEventListener("error", () => {
  if (video.hasAttribute("data-drawn") || !data.analysed) return;
  video.setAttribute("data-drawn", "");
  overlay.boxes = [];
  overlay.draw();
  say("This browser can't play the original; shown is the annotated video.", "warn");
  sought = frame;
  load(video.dataset.annotated);
});

// Transport
at("transport").hidden = false;
at("scrub").hidden = false;
video.controls = false;
const play = root.querySelector('[data-do="play"]');
for (const name of ["play", "pause"]) video.addEventListener(name, () => { play.textContent = video.paused ? "Play" : "Pause"; });
const toggle = () => (video.paused ? video.play().catch((error) => say(error.message, "bad")) : video.pause());
holder.addEventListener("click", () => { if (!holder.classList.contains("drawing")) toggle(); });
at("scrub").addEventListener("input", (event) => seek(Number(event.target.value)));
at("speed").addEventListener("change", (event) => { video.playbackRate = Number(event.target.value); });
at("boxes").addEventListener("change", (event) => { overlay.shown = event.target.checked; overlay.draw(); });
at("names").addEventListener("change", (event) => { overlay.names = event.target.checked; overlay.draw(); });
at("goto").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  const time = timeOf(event.target.value);
  if (time === null) { say("Write a time such as 1:05.2, or a frame such as 1630f.", "warn"); return; }
  video.pause();
  seek(time);
  event.target.value = "";
  event.target.blur();
});
function timeOf(text) {
  const wanted = text.trim();
  if (/^\d+f$/.test(wanted)) return Number(wanted.slice(0, -1)) / rate;
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(wanted)) return null;
  return wanted.split(":").reduce((sum, each) => sum * 60 + Number(each), 0);
}
async function keepLink() {
  const address = `${location.origin}${url}?frame=${frame}`;
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address);
    say("The link to this frame is copied.");
  } catch {
    say("The link to this frame is in the address bar."); // where the clipboard is not allowed
  }
}
function speed(way) {
  const list = at("speed");
  const place = Math.min(list.options.length - 1, Math.max(0, list.selectedIndex + way));
  list.selectedIndex = place;
  video.playbackRate = Number(list.value);
}
const strip = at("strip");
strip?.addEventListener("click", (event) => {
  const area = strip.getBoundingClientRect();
  const across = Math.floor(((event.clientX - area.left) / area.width) * data.strip.columns);
  const rows = Math.ceil(data.strip.pictures / data.strip.columns);
  const down = Math.floor(((event.clientY - area.top) / area.height) * rows);
  seek((down * data.strip.columns + across) * data.strip.interval);
});

// A clip from here to here
function choose(place) {
  const fields = [at("field-start_time"), at("field-end_time")];
  if (!fields[0]) return;
  fields[place].value = (place ? now + 1 / rate : now).toFixed(3);
  timeline.chosen = fields.map((each) => Number(each.value));
  timeline.draw();
  if (place) at("field-name").focus();
}

// Regions
const regionForm = at("region-form");
function showRegion(points) {
  overlay.shapes = overlay.shapes.filter((each) => each.kind !== "search");
  if (points?.length > 2) overlay.shapes.push({ kind: "search", points, open: false });
  overlay.draw();
}
const pointsIn = (text) => text.trim().split(/\s+/).filter(Boolean).map((each) => each.split(",").map(Number));
async function drawRegion() {
  video.pause();
  at("region-hint").textContent = "Click corners on the picture. Enter, or a click on the first corner, closes it; Escape gives up.";
  showRegion(null);
  const points = await drawn(overlay, holder, "search");
  if (!points) return;
  showRegion(points);
  at("field-region").value = points.map((each) => each.join(",")).join(" ");
  regionForm.requestSubmit();
}
regionForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const points = pointsIn(at("field-region").value);
  showRegion(points);
  const place = at("moments");
  place.textContent = "Looking …";
  const list = document.createElement("ol");
  list.className = "moments";
  let since = 0;
  let count = 0;
  for (;;) {
    const answer = await fetch(`${source}/region-search`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Form-Token": token },
      body: JSON.stringify({ points, label: at("field-inside").value.trim() || null, since }),
    });
    if (!answer.ok) { place.textContent = answer.status === 422 || answer.status === 400 ? "These corners are no region." : `The server said ${answer.status}.`; return; }
    const found = await answer.json();
    for (const [start, end, tracks] of found.moments) {
      count += 1;
      const line = list.appendChild(document.createElement("li"));
      const anchor = line.appendChild(document.createElement("a"));
      anchor.href = `${url}?t=${start}`;
      anchor.dataset.seek = start;
      anchor.textContent = clockOf(start, 1);
      line.append(` ${(end - start).toFixed(1)} s, ${tracks} track${tracks === 1 ? "" : "s"}`);
    }
    if (found.complete || count >= 500) {
      const title = document.createElement("p");
      title.textContent = count ? `${count}${found.complete ? "" : " and more"} moments` : "Nothing was in there.";
      place.replaceChildren(title, list);
      return;
    }
    place.replaceChildren(`Looked through up to ${clockOf(found.searched)} …`, list);
    since = found.searched;
  }
});
at("draw-region").hidden = at("clear-region").hidden = false;
at("draw-region").addEventListener("click", drawRegion);
at("clear-region").addEventListener("click", () => { showRegion(null); at("field-region").value = ""; at("moments").replaceChildren(); });
if (at("field-region").value) showRegion(pointsIn(at("field-region").value));

// Lines, regions and masks for another detection
const shapes = at("shapes");
if (shapes) {
  shapes.hidden = false;
  shapes.addEventListener("click", async (event) => {
    const kind = event.target.dataset.shape;
    if (!kind) return;
    video.pause();
    holder.scrollIntoView({ block: "center" });
    const points = await drawn(overlay, holder, kind);
    if (!points) return;
    const field = at("options");
    let options = {};
    try { options = JSON.parse(field.value || "{}"); } catch { say("The options are no JSON: mend or empty them.", "bad"); return; }
    const list = (options[kind] ??= []);
    const name = `${kind.slice(0, -1)} ${list.length + 1}`;
    list.push(kind === "lines" ? { name, start: points[0], end: points[1] } : { name, points });
    field.value = JSON.stringify(options, null, 1);
    at("again").scrollIntoView({ block: "center" });
  });
}

// What leads to a moment does so in place.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[data-seek]");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  video.pause();
  seek(Number(anchor.dataset.seek));
  holder.scrollIntoView({ block: "nearest" });
});
const actions = { play: toggle, back: () => step(-1), ahead: () => step(1), link: keepLink, in: () => choose(0), out: () => choose(1) };
for (const button of document.querySelectorAll("[data-do]")) {
  button.hidden = false;
  button.addEventListener("click", () => actions[button.dataset.do]());
}

// Keys
const keys = {
  " ": toggle, ",": () => step(-1), ".": () => step(1),
  ArrowLeft: (event) => seek(now - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => seek(now + (event.shiftKey ? 10 : 1)),
  n: () => queue.onward("next"), p: () => queue.onward("previous"),
  s: () => queue.seen(), m: () => queue.mark(), e: () => queue.write(),
  "[": () => choose(0), "]": () => choose(1),
  "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
  b: () => at("boxes").click(), g: () => at("goto").select(),
  z: () => timeline.zoom(0.5), Z: () => timeline.zoom(2), r: drawRegion,
  "?": () => at("keys").showModal(),
};
at("show-keys").hidden = false;
at("show-keys").addEventListener("click", () => at("keys").showModal());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const field = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (field && event.key === "Escape") field.blur();
  if (field && !(field.type === "range" || field.type === "checkbox")) return;
  if (field && event.key.startsWith("Arrow")) return;
  if (event.key === " " && event.target.closest?.("button, a, summary")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
});
show(now);
