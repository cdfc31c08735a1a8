// The page of the gateway. It shows answers only as text, and loads nothing from elsewhere.

class Problem extends Error {}
const $ = id => document.getElementById(id);
const [models, question, log, pictures, notice] = ["models", "question", "log", "pictures", "notice"].map($);
const api = new URL("v1", location.href).href; // the gateway may be mounted under a path
const KEY = `key of ${api}`;
const waiting = new Map(); // elements, and the text that they get with the next frame
let turns = []; // the conversation: {text, pictures, answer}
let running = null; // the AbortController of the answer that is on its way
let follows = true; // whether the end of the conversation is in view

async function request(path, options) {
  const key = sessionStorage.getItem(KEY);
  const headers = {"Content-Type": "application/json", ...(key && {Authorization: `Bearer ${key}`})};
  const response = await fetch(`${api}/${path}`, {headers, cache: "no-store", ...options});
  if (response.ok) return response;
  if (response.status === 401) showKeyForm(true);
  if (response.status === 401 && !key) throw new Problem(""); // the form says what to do
  const refusal = await response.json().catch(() => null); // a proxy answers with HTML
  const problem = refusal?.error?.message ?? `The gateway answers with the status ${response.status}.`;
  throw new Problem(problem + inWords(response.headers.get("Retry-After")));
}

function inWords(retryAfter) {
  if (!(retryAfter > 0)) return retryAfter?.includes(":") ? ` Try again after ${retryAfter}.` : ""; // it may be a date
  const [count, unit] = retryAfter < 120 ? [retryAfter, "second"] : [Math.ceil(retryAfter / 60), "minute"];
  return ` Retry in ${count} ${unit}${count > 1 ? "s" : ""}.`;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let lines = [""], isComplete = false; ;) {
    const {done, value} = await reader.read();
    if (done && isComplete) return;
    if (done) throw new Problem("The answer broke off before its end.");
    lines = (lines.pop() + value).split("\n"); // the last line is not complete
    for (const line of lines.slice(0, -1).filter(line => line.startsWith("data: "))) {
      if (line === "data: [DONE]") isComplete = true;
      else yield JSON.parse(line.slice(6));
    }
  }
}

function explain(error) { // the browser's own texts differ, and do not say what failed
  if (error instanceof Problem) return error.message;
  return error instanceof SyntaxError ? "The answer cannot be read." : "The connection to the gateway failed.";
}

function show(template) {
  const view = $(template).content.firstElementChild.cloneNode(true);
  log.append(view);
  return view;
}

function write(element, text) { // once a frame, since the browser lays out the page after each change
  if (text && !waiting.size) requestAnimationFrame(flush);
  if (text) waiting.set(element, (waiting.get(element) ?? "") + text);
}

function append(element, text) { // in blocks, usually of whole lines: only the last one is laid out again
  for (const part of text.match(/.{2000,10000}?\n|.{1,10000}/gsu)) {
    const last = element.lastChild?.textContent ?? "\n";
    const isFull = last.length > (last.endsWith("\n") ? 2000 : 10000);
    if (isFull || !element.lastChild) element.append(document.createElement("span"));
    element.lastChild.append(part);
  }
}

function flush() {
  for (const [element, text] of waiting) append(element, text);
  waiting.clear();
  if (follows) $("end").scrollIntoView({block: "nearest"});
}

function tell(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

function messages(turn) {
  const user = ({text, pictures: urls}) => ({
    role: "user",
    content: [{type: "text", text}, ...urls.map(url => ({type: "image_url", image_url: {url}}))],
  });
  const earlier = turns.filter(one => one !== turn && one.answer); // not a question that got no text
  return [...earlier.flatMap(one => [user(one), {role: "assistant", content: one.answer}]), user(turn)];
}

async function ask(turn) {
  const view = show("answer-view");
  const [name, details, thinking, text, links, usage, failure, again] = view.querySelectorAll("[class]");
  const controller = new AbortController();
  const body = {model: models.value, messages: messages(turn), stream: true, stream_options: {include_usage: true}};
  name.textContent = models.selectedOptions[0].text;
  setRunning(controller);
  try {
    const options = {method: "POST", body: JSON.stringify(body), signal: controller.signal};
    for await (const chunk of events((await request("chat/completions", options)).body)) {
      if (chunk.error) throw new Problem(chunk.error.message);
      const delta = chunk.choices[0]?.delta;
      details.hidden &&= !delta?.reasoning_content;
      write(thinking, delta?.reasoning_content);
      write(text, delta?.content);
      links.append(...(chunk.images ?? []).map(link));
      usage.textContent ||= counted(chunk.usage);
    }
  } catch (error) {
    tell(failure, controller.signal.aborted ? "Stopped." : explain(error));
    failure.classList.toggle("quiet", controller.signal.aborted);
    controller.abort(); // closes the connection
    again.hidden = false;
    again.onclick = () => { if (!running) { view.remove(); ask(turn); question.focus(); } };
  }
  flush();
  turn.answer = text.textContent;
  view.ariaBusy = "false";
  if (running === controller) setRunning(null);
}

function link(url) {
  const element = Object.assign(document.createElement("a"), {textContent: url, rel: "noreferrer", target: "_blank"});
  if (/^https?:/i.test(url)) element.href = url;
  return element;
}

function counted(usage) {
  const counts = {in: usage?.prompt_tokens, out: usage?.completion_tokens, "in total": usage?.total_tokens};
  const known = Object.entries(counts).filter(([, count]) => count !== undefined);
  return known.length ? `Tokens: ${known.map(([name, count]) => `${count} ${name}`).join(", ")}` : "";
}

function setRunning(controller) {
  running = controller;
  $("stop").hidden = !running;
  $("send").hidden = Boolean(running);
}

function stop() {
  running?.abort();
  question.focus();
}

function submit(event) {
  event.preventDefault();
  const text = question.value;
  if (running || !text.trim() || !models.value) return;
  tell(notice, "");
  const images = [...pictures.querySelectorAll("img")];
  const turn = {text, pictures: images.map(image => image.src), answer: ""};
  log.querySelectorAll(".again").forEach(button => button.remove()); // only the last question can be sent again
  turns.push(turn);
  const view = show("question-view");
  view.append(text);
  view.prepend(...images);
  question.value = "";
  pictures.replaceChildren();
  $("welcome").hidden = follows = true;
  question.focus();
  ask(turn);
}

function startChat() {
  stop();
  turns = [];
  log.replaceChildren();
  $("welcome").hidden = false;
}

function attach(files) {
  tell(notice, "");
  for (const file of files) {
    const reader = new FileReader();
    reader.onload = () => {
      const item = $("picture-view").content.firstElementChild.cloneNode(true);
      Object.assign(item.querySelector("img"), {src: reader.result, alt: file.name});
      item.querySelector("button").ariaLabel = `Remove ${file.name}`;
      item.querySelector("button").onclick = () => { item.remove(); question.focus(); };
      pictures.append(item);
    };
    if (file.type.startsWith("image/")) reader.readAsDataURL(file);
    else tell(notice, `${file.name} is not a picture.`);
  }
}

async function load() {
  try {
    const {data} = await (await request("models")).json();
    const title = ({id, name}) => (name?.trim() ? `${name.replace(/[:\s]+$/, "")} (${id})` : id); // "AI: "
    models.replaceChildren(...data.map(model => new Option(title(model), model.id)));
    models.disabled = $("send").disabled = !data.length;
    showKeyForm(false);
    tell(notice, data.length ? "" : "The gateway has no bots.");
    choose();
  } catch (error) { tell(notice, explain(error)); }
}

function choose() {
  if (!models.length) return;
  const wanted = new URLSearchParams(location.hash.slice(1)).get("bot");
  if (wanted) models.value = wanted;
  if (!models.value) {
    tell(notice, `The gateway has no bot ${wanted}.`);
    models.selectedIndex = 0;
  }
  showLines();
}

function showLines() {
  const [key, model] = [sessionStorage.getItem(KEY), JSON.stringify(models.value)];
  const quoted = text => (/^[\w:/.%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`); // for a shell
  const values = {
    url: quoted(`${api}/chat/completions`),
    authorization: key ? '  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n' : "",
    body: quoted(`{"model": ${model}, "messages": [{"role": "user", "content": "Hello"}]}`),
    base: JSON.stringify(api),
    key: key ? "" : ', api_key="not needed"', // the package wants one
    model,
  };
  for (const name of ["curl", "python"]) {
    const lines = $(`${name}-lines`).content.textContent.trim();
    $(name).textContent = lines.replace(/{(\w+)}/g, (_, word) => values[word]);
  }
  $("key-needed").hidden = !key;
  $("code").hidden = false;
}

function showKeyForm(isShown) {
  $("key-form").hidden = !isShown;
  if (isShown) $("key").focus();
}

async function copy({target: button}) {
  const lines = $(button.dataset.lines);
  getSelection().selectAllChildren(lines); // a page of another machine without TLS has no navigator.clipboard
  await (navigator.clipboard?.writeText(lines.textContent) ?? document.execCommand("copy"));
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

question.focus();
$("ask").onsubmit = submit;
$("stop").onclick = stop;
$("new-chat").onclick = startChat;
$("files").onchange = event => { attach(event.target.files); event.target.value = ""; };
question.onpaste = event => attach(event.clipboardData.files);
question.onkeydown = event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask").requestSubmit();
};
addEventListener("keydown", event => { if (event.key === "Escape" && !event.isComposing) running?.abort(); });
$("key-form").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("key").value);
  $("key").value = "";
  load();
};
models.onchange = () => {
  tell(notice, "");
  history.replaceState(null, "", `#${new URLSearchParams({bot: models.value})}`);
  showLines();
};
addEventListener("hashchange", choose);
document.querySelectorAll("[data-lines]").forEach(button => { button.onclick = copy; });
new IntersectionObserver(entries => { follows = entries.at(-1).isIntersecting; }).observe($("end"));
load();
