// The review queue: which segment is at hand, what the reviewer says of it, and on to the next.
export class Queue {
  constructor(data, url, token, { seek, say, told }) {
    this.data = data;
    this.url = url;
    this.token = token;
    this.seek = seek;
    this.say = say;
    this.told = told;
    this.list = document.getElementById("segments");
    this.items = [...(this.list?.querySelectorAll(".segment") ?? [])];
    this.now = null;
    for (const item of this.items) {
      item.querySelector("a").addEventListener("click", (event) => {
        event.preventDefault();
        this.open(item);
      });
      for (const form of item.querySelectorAll("form")) {
        form.addEventListener("submit", (event) => {
          event.preventDefault();
          const button = event.submitter;
          if (form.classList.contains("note")) this.keepNote(item);
          else this.keep(item, { [button.name]: button.value === "yes" });
        });
      }
    }
    this.sync();
  }

  // Light the segment in which `time` is.
  at(time) {
    const found = this.items.find((item) => time >= Number(item.dataset.from) && time < Number(item.dataset.to));
    if (found && found !== this.now) this.light(found);
  }

  light(item) {
    this.now?.classList.remove("now");
    this.now = item;
    item.classList.add("now");
    const list = this.list.getBoundingClientRect(), box = item.getBoundingClientRect();
    if (box.top < list.top) this.list.scrollTop -= list.top - box.top; // the list alone, not the page
    else if (box.bottom > list.bottom) this.list.scrollTop += box.bottom - list.bottom;
  }

  open(item) {
    this.light(item);
    this.seek(Number(item.dataset.from));
  }

  async onward(way) {
    const beside = this.now ? `&beside=${this.now.dataset.number}` : "";
    const answer = await fetch(`${this.url}/segments/unseen?way=${way}${beside}`);
    if (!answer.ok) { this.say("The next segment can't be had.", "bad"); return; }
    const found = await answer.json();
    if (!found) { this.say(way === "next" ? "No segment after this one is unseen." : "No segment before this one is unseen."); return; }
    const item = this.items.find((each) => Number(each.dataset.number) === found.number);
    if (item) this.open(item);
    else location.search = `?t=${found.start_time}&segments_after=${found.number - 1}`;
  }

  async seen() {
    if (!this.now) { await this.onward("next"); return; }
    if (await this.keep(this.now, { seen: true })) await this.onward("next");
  }

  mark() {
    if (this.now) this.keep(this.now, { marked: !this.now.classList.contains("marked") });
    else this.say("No segment is at hand: n goes to the next.");
  }

  write() {
    this.now?.querySelector(".note input:not([type=hidden])")?.focus();
  }

  async keepNote(item) {
    const field = item.querySelector(".note input:not([type=hidden])");
    if (await this.keep(item, { note: field.value })) field.blur();
  }

  async keep(item, said) {
    const answer = await fetch(`${this.url}/segments/${item.dataset.number}/review`, {
      method: "PUT",
      headers: { "Content-Type": "application/json", "X-Form-Token": this.token },
      body: JSON.stringify(said),
    });
    if (!answer.ok) { this.say(`Not kept: the server said ${answer.status}.`, "bad"); return false; }
    const kept = await answer.json();
    item.classList.toggle("seen", kept.seen);
    item.classList.toggle("marked", kept.marked);
    item.querySelector(".noted").textContent = kept.note ?? "";
    for (const [name, word, opposite] of [["seen", "Seen", "Not seen"], ["marked", "Mark", "Unmark"]]) {
      const button = item.querySelector(`button[name="${name}"]`);
      button.value = kept[name] ? "no" : "yes";
      button.textContent = kept[name] ? opposite : word;
    }
    this.sync();
    return true;
  }

  // Let counts and timeline say what the list says.
  sync() {
    const seen = new Set(this.items.filter((each) => each.classList.contains("seen")).map((each) => Number(each.dataset.number)));
    let delta = 0;
    for (const each of this.data.segments) {
      const is = seen.has(each.number);
      if (each.seen !== undefined && each.seen !== is) delta += is ? 1 : -1;
      each.seen = is;
    }
    if (delta) {
      const count = document.getElementById("queue-count");
      count.textContent = count.textContent.replace(/^\d+/, (text) => String(Number(text) + delta));
    }
    this.told();
  }
}
