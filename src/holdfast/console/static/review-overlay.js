// Draws on the picture: the boxes of the frame that is shown, and shapes that are being drawn.
const COLOURS = ["#45d6c4", "#ffb066", "#b3aeff", "#ff9ac2"];

export class Overlay {
  constructor(canvas, video, size) {
    this.canvas = canvas;
    this.video = video;
    this.size = size; // of the picture that was analysed, in pixels
    this.boxes = [];
    this.labels = [];
    this.shapes = []; // { kind, points, open }
    this.names = true;
    this.shown = true;
    new ResizeObserver(() => this.fit()).observe(video);
    this.fit();
  }

  // Put the canvas over the picture itself, whatever bars are around it.
  fit() {
    const { width, height } = this.size;
    const scale = Math.min(this.video.clientWidth / width, this.video.clientHeight / height) || 1;
    const wide = width * scale;
    const tall = height * scale;
    const style = this.canvas.style;
    style.left = `${(this.video.clientWidth - wide) / 2}px`;
    style.top = `${(this.video.clientHeight - tall) / 2}px`;
    style.width = `${wide}px`;
    style.height = `${tall}px`;
    const sharp = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(wide * sharp);
    this.canvas.height = Math.round(tall * sharp);
    this.scale = scale * sharp;
    this.sharp = sharp;
    this.draw();
  }

  // Where in the picture, in its pixels, a pointer's event is.
  pointOf(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * this.size.width;
    const y = ((event.clientY - area.top) / area.height) * this.size.height;
    const inside = (value, most) => Math.round(Math.min(Math.max(value, 0), most) * 10) / 10;
    return [inside(x, this.size.width), inside(y, this.size.height)];
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    const line = (2 * this.sharp) / this.scale;
    if (this.shown) for (const box of this.boxes) this.drawBox(pen, box, line);
    for (const shape of this.shapes) this.drawShape(pen, shape, line);
  }

  drawBox(pen, box, line) {
    if (!this.labels.includes(box.label)) this.labels.push(box.label);
    const colour = COLOURS[this.labels.indexOf(box.label) % COLOURS.length];
    pen.lineWidth = line * 2;
    pen.strokeStyle = "rgb(0 0 0 / 0.5)";
    pen.strokeRect(box.x, box.y, box.width, box.height);
    pen.lineWidth = line;
    pen.strokeStyle = colour;
    pen.strokeRect(box.x, box.y, box.width, box.height);
    if (!this.names) return;
    const tall = line * 7;
    pen.font = `600 ${tall}px ui-sans-serif, system-ui, sans-serif`;
    const text = `${box.label} ${box.track}`;
    const wide = pen.measureText(text).width + line * 4;
    const top = box.y >= tall + line * 3 ? box.y - tall - line * 3 : box.y;
    const left = Math.max(0, Math.min(box.x - line / 2, this.size.width - wide));
    pen.fillStyle = colour;
    pen.fillRect(left, top, wide, tall + line * 3);
    pen.fillStyle = "#0a1413";
    pen.fillText(text, left + line * 2, top + tall + line * 0.6);
  }

  drawShape(pen, shape, line) {
    if (!shape.points.length) return;
    pen.beginPath();
    shape.points.forEach(([x, y], place) => (place ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (shape.kind !== "lines" && !shape.open) pen.closePath();
    pen.lineWidth = line * 1.5;
    pen.strokeStyle = shape.kind === "masks" ? "#ff9a8f" : "#ffe066";
    pen.stroke();
    if (shape.kind !== "lines") {
      pen.fillStyle = shape.kind === "masks" ? "rgb(255 80 60 / 0.2)" : "rgb(255 224 102 / 0.16)";
      pen.fill();
    }
    for (const [x, y] of shape.points) {
      pen.beginPath();
      pen.arc(x, y, line * 2, 0, 7);
      pen.fillStyle = "#fff";
      pen.fill();
    }
  }
}

// Let the visitor draw one shape; it resolves to its points, or to null when it was given up.
export function drawn(overlay, holder, kind) {
  const shape = { kind, points: [], open: true };
  overlay.shapes.push(shape);
  holder.classList.add("drawing");
  return new Promise((resolve) => {
    const end = (points) => {
      holder.classList.remove("drawing");
      overlay.canvas.removeEventListener("pointerdown", add);
      overlay.canvas.removeEventListener("pointermove", move);
      document.removeEventListener("keydown", key, true);
      shape.points = points ?? [];
      shape.open = false;
      if (!points) overlay.shapes.splice(overlay.shapes.indexOf(shape), 1);
      overlay.draw();
      resolve(points);
    };
    const fixed = () => shape.points.slice(0, count);
    let count = 0;
    const add = (event) => {
      event.preventDefault();
      const point = overlay.pointOf(event);
      const near = ([x, y]) => Math.hypot(x - point[0], y - point[1]) * overlay.scale < 12 * overlay.sharp;
      if (kind !== "lines" && count > 2 && (near(shape.points[0]) || near(shape.points[count - 1]))) {
        end(fixed());
        return;
      }
      shape.points = [...fixed(), point];
      count += 1;
      overlay.draw();
      if ((kind === "lines" && count === 2) || count === 64) end(fixed());
    };
    const move = (event) => {
      if (!count) return;
      shape.points = [...fixed(), overlay.pointOf(event)];
      overlay.draw();
    };
    const key = (event) => {
      if (event.key === "Escape") end(null);
      else if (event.key === "Enter" && count > 2) end(fixed());
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    overlay.canvas.addEventListener("pointerdown", add);
    overlay.canvas.addEventListener("pointermove", move);
    document.addEventListener("keydown", key, true);
  });
}
