"use strict";
(() => {
  const KEPT = 20;
  const words = JSON.parse(document.body.dataset.words);
  const language = document.documentElement.lang;
  const find = (id) => document.getElementById(id);
  const form = find("form");
  const say = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  const announce = (text) => { find("said").textContent = text; };

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function icon(name) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(space, "use");
    use.setAttribute("href", `#i-${name}`);
    svg.append(use);
    return svg;
  }

  // --- what goes wrong in the browser

  let seen = 0;
  let newest = document.querySelector("[data-request-id]")?.dataset.requestId ?? null;

  function report(kind, message, source = "", request = newest) {
    const text = String(message).slice(0, 500);
    // a picture's data is no address
    const where = String(source).startsWith("data:") ? "data:" : String(source).slice(0, 500);
    seen += 1;
    find("errors").hidden = false;
    find("errors-count").value = seen;
    const list = find("errors-list");
    list.append(element("li", {}, `${kind}: ${text}${where ? ` (${where})` : ""}`));
    while (list.children.length > KEPT) list.firstChild.remove();
    if (seen > KEPT) return;
    const body = JSON.stringify({ request_id: request, kind, message: text, source: where });
    navigator.sendBeacon("/api/browser-errors", new Blob([body], { type: "application/json" }));
  }

  function unloaded(image) {
    if (image.closest(".previews")) return;
    const request = image.closest("[data-request-id]")?.dataset.requestId ?? newest;
    report("resource", "a picture could not be loaded", image.currentSrc || image.src, request);
  }

  window.addEventListener("error", (event) => {
    if (event instanceof ErrorEvent) report("error", event.message, `${event.filename}:${event.lineno}`);
    else if (event.target instanceof HTMLImageElement) unloaded(event.target);
    else if (event.target instanceof Element) report("resource", `${event.target.localName} could not be loaded`, event.target.src || event.target.href);
  }, true);
  window.addEventListener("unhandledrejection", (event) => report("rejection", event.reason?.message ?? event.reason));
  for (const image of document.images) {
    if (image.complete && image.naturalWidth === 0 && image.src) unloaded(image);
  }

  // --- the photos

  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  function size(bytes) {
    const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
    return new Intl.NumberFormat(language, { style: "unit", unit: units[step], maximumFractionDigits: step > 1 ? 1 : 0 }).format(bytes / 1000 ** step);
  }

  const same = (one, two) => one.name === two.name && one.size === two.size && one.lastModified === two.lastModified;

  function upload(area) {
    const input = area.querySelector("input");
    const list = area.querySelector(".previews");
    const zone = area.querySelector(".zone");
    let chosen = [];

    function hold(files) {
      chosen = files;
      const held = new DataTransfer();
      for (const file of chosen) held.items.add(file);
      input.files = held.files;
      draw();
    }

    function add(files) {
      const added = [...files].filter((file) => !input.multiple || !chosen.some((old) => same(old, file)));
      hold(input.multiple ? [...chosen, ...added] : added.slice(0, 1));
    }

    function remove(index) {
      const [gone] = chosen.splice(index, 1);
      hold(chosen);
      const buttons = list.querySelectorAll("button");
      (buttons[Math.min(index, buttons.length - 1)] ?? input).focus();
      announce(say(words.removed, { name: gone.name }));
    }

    function preview(file, index) {
      const address = URL.createObjectURL(file);
      const image = element("img", { alt: "", src: address });
      const thumb = element("span", { class: "thumb" }, image);
      image.addEventListener("load", () => URL.revokeObjectURL(address));
      image.addEventListener("error", () => { URL.revokeObjectURL(address); thumb.replaceChildren(icon("photo")); });
      const button = element("button", { type: "button", "aria-label": say(words.remove, { name: file.name }) }, icon("remove"));
      button.addEventListener("click", () => remove(index));
      const name = element("span", { class: "name", title: file.name }, file.name);
      return element("li", {}, thumb, element("div", {}, name, element("span", { class: "size" }, size(file.size))), button);
    }

    function draw() {
      list.replaceChildren(...chosen.map(preview));
      list.hidden = chosen.length === 0;
    }

    input.addEventListener("change", () => add(input.files));
    for (const type of ["dragenter", "dragover"]) zone.addEventListener(type, () => zone.classList.add("over"));
    for (const type of ["dragleave", "drop"]) zone.addEventListener(type, () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) add(event.dataTransfer.files);
    });
    if (input.files.length) add(input.files); // kept by the browser over a reload
    return input;
  }

  // a photo dropped beside an area would replace the page
  for (const type of ["dragover", "drop"]) {
    window.addEventListener(type, (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
  }

  function read(file) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(new Problem(say(words.unread, { name: file.name })));
      reader.readAsDataURL(file);
    });
  }

  // --- a batch

  class Problem extends Error {}

  let running = null;

  function alarm(text, region = "alert") {
    find(region).replaceChildren(...(text ? [element("p", {}, text)] : []));
  }

  function busy(on) {
    form.setAttribute("aria-busy", String(on));
    find("generate").setAttribute("aria-disabled", String(on));
    find("cancel").hidden = !on;
    find("progress").hidden = !on;
    find("progress").removeAttribute("value");
    find("elapsed").textContent = "";
  }

  async function body(inputs) {
    const values = new FormData(form);
    const made = { prompt: values.get("prompt"), aspect_ratio: values.get("aspect_ratio"), num_images: Number(values.get("num_images")) };
    if (values.get("image_strength")) made.image_strength = Number(values.get("image_strength"));
    for (const input of inputs) {
      const photos = await Promise.all([...input.files].map(read));
      if (photos.length) made[input.name] = input.multiple ? photos : photos[0];
    }
    return JSON.stringify(made);
  }

  /** The answer to a request; null where it was cancelled. */
  function post(address, text, request) {
    return new Promise((resolve, reject) => {
      request.open("POST", address);
      request.setRequestHeader("Content-Type", "application/json");
      request.setRequestHeader("Accept", "application/json");
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) find("progress").value = event.loaded / event.total;
      };
      request.upload.onload = () => {
        find("progress").removeAttribute("value");
        find("status").textContent = words.waiting;
      };
      request.onload = () => resolve(request);
      request.onabort = () => resolve(null);
      request.onerror = request.ontimeout = () => reject(new Problem(words.unreachable));
      request.send(text);
    });
  }

  function parsed(text) {
    try {
      const found = JSON.parse(text);
      return found !== null && typeof found === "object" ? found : null;
    } catch {
      return null;
    }
  }

  /** The photo as it left this browser, where the backend has no address of it: the upload may be what broke. */
  function beside(article, photo) {
    const template = article.querySelector("template[data-reference]");
    if (!template) return;
    const shown = document.importNode(template.content, true);
    shown.querySelector("img").src = URL.createObjectURL(photo);
    template.parentNode.classList.remove("alone");
    template.replaceWith(shown);
  }

  /** The batch of an answer; where none was kept, since the request was not even read, why it was refused. */
  async function show(id, photo, refusal) {
    const address = `/batches/${encodeURIComponent(id)}?lang=${encodeURIComponent(language)}`;
    let answer = null;
    try {
      answer = await fetch(address, { headers: { Accept: "text/html" } });
    } catch (error) {
      report("request", `GET ${address}: ${error.message}`, address, id);
      throw new Problem(words.unreachable);
    }
    if (answer.status === 404 && refusal) throw new Problem(refusal);
    const html = answer.ok ? await answer.text() : "";
    const article = new DOMParser().parseFromString(html, "text/html").querySelector("article");
    if (!article) {
      report("request", `GET ${address}: HTTP ${answer.status}`, address, id);
      throw new Problem(say(words.no_fragment, { id, status: answer.status }));
    }
    const shown = document.importNode(article, true);
    find(shown.id)?.remove();
    if (photo) beside(shown, photo);
    prepare(shown);
    shown.classList.add("new");
    find("empty").hidden = true;
    find("batches").prepend(shown);
    shown.focus();
  }

  async function generate(inputs) {
    const request = new XMLHttpRequest();
    const started = performance.now();
    const here = { request, cancelled: false };
    running = here;
    alarm("");
    busy(true);
    find("status").textContent = words.reading;
    find("cancel").focus();
    const clock = setInterval(() => {
      find("elapsed").textContent = say(words.seconds, { n: Math.floor((performance.now() - started) / 1000) });
    }, 1000);
    const photo = inputs.map((input) => input.files[0]).find(Boolean);
    let ended = "";
    try {
      const text = await body(inputs);
      find("status").textContent = words.sending;
      const answer = here.cancelled ? null : await post("/api/generate-image", text, request);
      if (answer === null) {
        ended = words.cancelled;
      } else {
        find("status").textContent = words.diagnosing;
        const told = parsed(answer.responseText);
        const id = told?.request_id ?? answer.getResponseHeader("x-request-id");
        newest = id ?? newest;
        if (told === null) report("request", `POST /api/generate-image: HTTP ${answer.status}, no JSON`, "/api/generate-image", id);
        if (told === null) alarm(say(words.no_json, { status: answer.status }));
        const detail = typeof told?.detail === "string" ? told.detail : JSON.stringify(told).slice(0, 500);
        const refusal = told !== null && answer.status >= 400 ? say(words.no_id, { status: answer.status, detail }) : "";
        if (told !== null && !id) throw new Problem(refusal || say(words.no_id, { status: answer.status, detail }));
        if (id) await show(String(id), photo, refusal);
        ended = told === null ? "" : words.done;
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.message === words.unreachable && request.status === 0) report("request", "POST /api/generate-image: no answer", "/api/generate-image", null);
      alarm(error.message);
    } finally {
      clearInterval(clock);
      running = null;
      const lost = document.activeElement === find("cancel");
      busy(false);
      find("status").textContent = ended;
      if (lost) find("generate").focus();
    }
  }

  // --- buttons of a batch

  async function copy(button) {
    const target = find(button.dataset.copy);
    let done = words.copied;
    try {
      await navigator.clipboard.writeText(target.textContent);
    } catch {
      getSelection().selectAllChildren(target);
      done = words.copy_yourself;
    }
    const before = button.textContent;
    announce(done);
    button.textContent = done;
    setTimeout(() => { button.textContent = before; }, 2000);
  }

  function prepare(part) {
    for (const button of part.querySelectorAll("[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => { if (button.textContent !== words.copied) copy(button); });
    }
  }

  // --- the switch

  async function setSwitch(switched) {
    let answer = null;
    try {
      answer = await fetch(switched.action, { method: "POST", body: new URLSearchParams(new FormData(switched)), redirect: "manual" });
      if (answer.type !== "opaqueredirect" && !answer.ok) throw new Error(`HTTP ${answer.status}`);
      answer = await fetch(`/?lang=${encodeURIComponent(language)}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const state = page.getElementById("break-state");
      find("break-state").className = state.className;
      find("break-state").replaceChildren(...[...state.childNodes].map((node) => document.importNode(node, true)));
      alarm("", "break-alert");
    } catch (error) {
      report("request", `POST /break: ${error.message}`, "/break");
      alarm(say(words.break_failed, { status: answer?.status || "-" }), "break-alert");
    }
  }

  // --- start

  document.documentElement.classList.add("js");
  const inputs = [...document.querySelectorAll("[data-upload]")].map(upload);
  prepare(document);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running === null) generate(inputs);
  });
  find("cancel").addEventListener("click", () => {
    if (running === null) return;
    running.cancelled = true;
    running.request.abort();
  });
  for (const switched of document.querySelectorAll(".break-form")) {
    switched.addEventListener("submit", (event) => {
      event.preventDefault();
      setSwitch(switched);
    });
  }
})();
