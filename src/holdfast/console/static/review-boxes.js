// Boxes of stored detections, fetched in windows of a few seconds and dropped again: memory is flat.
const WINDOW = 4; // seconds
const KEPT = 12; // windows in memory
const COLUMNS = ["time", "frame", "track", "label", "score", "x", "y", "width", "height"];

export class Boxes {
  // `told` is called when boxes have come that were missed before.
  constructor(url, duration, told) {
    this.url = url;
    this.last = Math.max(0, Math.ceil(duration / WINDOW) - 1);
    this.told = told;
    this.windows = new Map(); // the one used last stands last
    this.asked = new Map();
  }

  // The boxes whose time is within `half` seconds of `time`; null while they are on their way.
  at(time, half) {
    const place = this.placeOf(time);
    this.want(place);
    const near = this.placeOf(time + WINDOW / 2);
    if (near !== place) this.want(near);
    const found = this.windows.get(place);
    if (!found) return null;
    const boxes = [];
    for (const other of new Set([this.placeOf(time - half), place, this.placeOf(time + half)])) {
      const columns = this.windows.get(other);
      if (!columns) continue;
      for (let row = lowerBound(columns.time, time - half); row < columns.time.length; row++) {
        if (columns.time[row] >= time + half) break;
        boxes.push({
          frame: columns.frame[row], track: columns.track[row], score: columns.score[row],
          label: columns.labels[columns.label[row]],
          x: columns.x[row], y: columns.y[row],
          width: columns.width[row], height: columns.height[row],
        });
      }
    }
    return boxes;
  }

  // How many boxes are in memory.
  get held() {
    let rows = 0;
    for (const each of this.windows.values()) rows += each.time.length;
    return rows;
  }

  placeOf(time) {
    return Math.min(this.last, Math.max(0, Math.floor(time / WINDOW)));
  }

  want(place) {
    const known = this.windows.get(place);
    if (known) {
      this.windows.delete(place);
      this.windows.set(place, known);
      return;
    }
    if (this.asked.has(place)) return;
    for (const [other, control] of this.asked) {
      if (Math.abs(other - place) > 1) control.abort(); // a seek has left it behind
    }
    const control = new AbortController();
    this.asked.set(place, control);
    this.fetch(place, control.signal).then(
      (columns) => {
        this.asked.delete(place);
        this.windows.set(place, columns);
        while (this.windows.size > KEPT) this.windows.delete(this.windows.keys().next().value);
        this.told();
      },
      (error) => {
        this.asked.delete(place);
        if (error.name === "AbortError") {
          this.told(); // a seek may have come back to it
          return;
        }
        console.warn("boxes can't be had:", error);
        setTimeout(this.told, 2000); // which asks again for what is still wanted
      },
    );
  }

  async fetch(place, signal) {
    const found = { labels: [], label: [] };
    for (const name of COLUMNS) found[name] = [];
    const until = (place + 1) * WINDOW;
    for (let since = place * WINDOW; since < until; ) {
      const answer = await fetch(`${this.url}?since=${since}&until=${until}`, { signal });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const part = await answer.json();
      const shift = found.labels.length;
      found.labels.push(...part.labels);
      for (const name of COLUMNS) {
        for (const each of part[name]) found[name].push(name === "label" ? each + shift : each);
      }
      since = part.until;
    }
    for (const name of ["frame", "time"]) found[name] = Float64Array.from(found[name]);
    for (const name of ["score", "x", "y", "width", "height"]) found[name] = Float32Array.from(found[name]);
    return found;
  }
}

function lowerBound(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
