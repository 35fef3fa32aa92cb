// Uploads: files dropped or chosen, a few at once, each in parts that go on where they broke off.
// <form id="upload" data-uploads="URL" data-straight> has the fields that go along with each file.
const form = document.getElementById("upload");
const list = document.getElementById("uploads");
const FILES = 2; // at once
const PARTS = 3; // at once, of each file
const TRIES = 6; // of a part in a row, with longer waits between them

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const lost = (error) => !(error instanceof Refused) || error.status >= 500 || [408, 429].includes(error.status);
const kept = {
  // A browser that keeps nothing for us still uploads; it can't go on in another tab.
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* see above */ } },
  drop: (name) => { try { localStorage.removeItem(name); } catch { /* see above */ } },
};

async function ask(method, url, fields) {
  const answer = await fetch(url, {
    method,
    headers: { Accept: "application/json", "X-Form-Token": form.elements.form_token.value },
    body: fields && new URLSearchParams(fields),
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.detail || told.title || `refused: ${answer.status}`);
  return told;
}

function put(url, body, headers, job, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    job.requests.add(request);
    const end = (then, value) => { job.requests.delete(request); then(value); };
    request.upload.addEventListener("progress", (event) => told(event.loaded));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) end(resolve);
      else end(reject, new Refused(request.status, `refused: ${request.status}`));
    });
    for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, () => end(reject, new Error("the connection was lost")));
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

async function digest(part) {
  if (!crypto.subtle) return {}; // on a page that is not secure there is none; the size is checked
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer()));
  return { "Content-Digest": `sha-256=:${btoa(String.fromCharCode(...sum))}:` };
}

function online(wait) {
  return new Promise((resolve) => {
    const go = () => { clearTimeout(timer); removeEventListener("online", go); resolve(); };
    const timer = setTimeout(go, wait);
    addEventListener("online", go);
  });
}

async function begin(job) {
  const known = kept.get(job.mark);
  if (known) {
    try { return await ask("GET", `${job.base}/${known}`); } catch (error) {
      if (error.status !== 404) throw error;
      kept.drop(job.mark);
    }
  }
  const fields = { name: job.file.name, size: job.file.size, type: job.file.type, ...job.fields };
  const made = await ask("POST", job.base, job.straight ? { ...fields, straight: 1 } : fields);
  kept.set(job.mark, made.id);
  return made;
}

async function send(job, session, number) {
  const part = job.file.slice((number - 1) * session.part, number * session.part);
  const told = (loaded) => { job.loaded.set(number, Math.min(loaded, part.size)); show(job); };
  const url = `${job.base}/${session.id}/parts/${number}`;
  for (let tries = 1; ; tries += 1) {
    try {
      if (session.straight) await put((await ask("POST", url)).url, part, {}, job, told);
      else await put(url, part, { "X-Form-Token": form.elements.form_token.value, "Content-Type": "application/octet-stream", ...(await digest(part)) }, job, told);
      told(part.size);
      job.arrived = true;
      return;
    } catch (error) {
      told(0);
      const barred = session.straight && !job.arrived && navigator.onLine && tries >= 2;
      if (job.stopped || barred || !lost(error) || tries >= TRIES) throw error;
      job.waits += 1;
      show(job);
      await online(1000 * 2 ** (tries - 1));
      job.waits -= 1;
      if (job.stopped) throw error;
    }
  }
}

async function transfer(job) {
  let session = await begin(job);
  if (!session.done) {
    try { await sendAll(job, session); } catch (error) {
      // The bucket's server can't be reached from here, or takes nothing from this page.
      if (!session.straight || job.arrived || job.stopped || !navigator.onLine) throw error;
      await ask("POST", `${job.base}/${session.id}/cancel`);
      kept.drop(job.mark);
      job.straight = false;
      session = await begin(job);
      await sendAll(job, session);
    }
    job.said.textContent = "is stored";
    session = await ask("POST", `${job.base}/${session.id}/end`);
  }
  kept.drop(job.mark);
  return session.done;
}

async function sendAll(job, session) {
  job.session = session;
  job.loaded.clear();
  job.arrived = session.there.length > 0;
  const size = (number) => Math.min(session.part, job.file.size - (number - 1) * session.part);
  for (const number of session.there) job.loaded.set(number, size(number));
  show(job);
  const left = Array.from({ length: session.count }, (_, at) => at + 1).filter((each) => !session.there.includes(each));
  // The first part shows whether the bucket's server takes any from this page.
  if (session.straight && !job.arrived) await send(job, session, left.shift());
  let failure = null;
  const lane = async () => {
    while (left.length && !failure && !job.stopped) {
      try { await send(job, session, left.shift()); } catch (error) { failure ??= error; }
    }
  };
  await Promise.all(Array.from({ length: PARTS }, lane));
  if (failure) throw failure;
}

function show(job) {
  const done = [...job.loaded.values()].reduce((sum, each) => sum + each, 0);
  job.bar.value = job.file.size ? done / job.file.size : 1;
  job.said.textContent = `${Math.floor(job.bar.value * 100)}%${job.waits ? ", waits for the connection" : ""}`;
}

const waiting = [];
let running = 0;

async function run(job) {
  Object.assign(job, { stopped: false, requests: new Set(), loaded: new Map(), arrived: false, waits: 0 });
  job.said.className = "quiet";
  job.buttons(["Stop", () => stop(job)]);
  try {
    const url = await transfer(job);
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.textContent = job.file.name;
    job.name.replaceChildren(anchor);
    job.bar.value = 1;
    job.said.textContent = "is in";
    job.buttons();
  } catch (error) {
    job.said.className = "bad";
    job.said.textContent = job.stopped ? "stopped" : lost(error) ? "broken off" : error.message;
    const again = ["Go on", () => { job.buttons(); waiting.push(job); next(); }];
    if (!job.stopped && !lost(error)) kept.drop(job.mark);
    job.buttons(again, ["Cancel", () => cancel(job)]);
  }
}

function stop(job) {
  job.stopped = true;
  for (const each of [...job.requests]) each.abort();
}

async function cancel(job) {
  const known = kept.get(job.mark) ?? job.session?.id;
  if (known) await ask("POST", `${job.base}/${known}/cancel`).catch((error) => { if (error.status !== 404) job.said.textContent = error.message; });
  kept.drop(job.mark);
  job.line.remove();
}

function add(files) {
  const fields = Object.fromEntries([...new FormData(form)].filter(([name, value]) => name !== "form_token" && typeof value === "string"));
  for (const file of files) {
    const line = document.createElement("li");
    const job = { file, fields, line, base: form.dataset.uploads, straight: "straight" in form.dataset };
    job.mark = `holdfast upload ${job.base} ${fields.prefix ?? ""}${file.name} ${file.size} ${file.lastModified}`;
    job.name = line.appendChild(document.createElement("span"));
    job.name.textContent = file.name;
    job.bar = line.appendChild(document.createElement("progress"));
    job.bar.max = 1;
    job.bar.value = 0;
    job.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    const state = line.appendChild(document.createElement("span"));
    state.className = "row";
    job.said = state.appendChild(document.createElement("span"));
    job.said.className = "quiet";
    job.said.textContent = "waits";
    job.buttons = (...wanted) => {
      state.replaceChildren(job.said);
      for (const [text, act] of wanted) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "button small";
        button.textContent = text;
        button.setAttribute("aria-label", `${text}: ${file.name}`);
        button.addEventListener("click", act);
        state.append(button);
      }
    };
    list.append(line);
    waiting.push(job);
  }
  next();
}

function next() {
  while (running < FILES && waiting.length) {
    running += 1;
    run(waiting.shift()).finally(() => { running -= 1; next(); });
  }
}

if (form) {
  const field = form.querySelector('input[type="file"]');
  field.multiple = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add([...field.files]);
    field.value = "";
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => { event.preventDefault(); add([...event.dataTransfer.files]); });
}
