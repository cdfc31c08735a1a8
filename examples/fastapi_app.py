"""A page that asks a site: ``CHATGPT4ONLINE_SITE=https://example.org uvicorn --app-dir examples fastapi_app:app``."""

import asyncio
import json
import math
import os
from contextlib import asynccontextmanager

from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from chatgpt4online import AsyncClient, ChatError, InvalidInput

HEARTBEAT = float(os.environ.get("HEARTBEAT", "15"))  # seconds
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
TEXTS = {429: "Too many questions. Try again later.", 504: "The site took too long to answer."}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Ask</title><link rel="icon" href="data:,">
<form><input name="question" aria-label="Question" required> <button>Ask</button></form>
<p style="white-space: pre-wrap"></p><p role="alert"></p><script>
const [form, answer, failure] = document.querySelectorAll("form, p");
form.onsubmit = async submit => {
  submit.preventDefault();
  [form.inert, answer.textContent, failure.textContent] = [true, "", ""];  // one question at a time
  try {
    const body = JSON.stringify({question: form.question.value});
    const response = await fetch("ask", {method: "POST", body, headers: {"Content-Type": "application/json"}});
    if (!response.ok) throw (await response.json()).detail;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let event = {}, lines = [""]; !event.end;) {
      const {done, value} = await reader.read();
      if (done) throw "The answer broke off.";
      lines = (lines.pop() + value).split("\\n");  // the last one is not complete
      for (const line of lines.slice(0, -1).filter(line => line.startsWith("data: "))) {
        event = JSON.parse(line.slice(6));
        if (event.detail) throw event.detail;
        answer.append(event.text ?? "");  // as text, never as HTML
      }
    }
  } catch (error) { failure.textContent = error.message ?? error; } finally { form.inert = false; }
};</script>"""


@asynccontextmanager
async def lifespan(app):
    async with AsyncClient(os.environ["CHATGPT4ONLINE_SITE"]) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)
app.get("/")(lambda: HTMLResponse(PAGE))


@app.post("/ask")
async def ask(request: Request, question: str = Body(embed=True)):
    async def close_with_page():
        while (await request.receive())["type"] != "http.disconnect":
            pass
        await stream.aclose()

    async def events():
        try:
            async for piece in stream.heartbeats(HEARTBEAT):
                yield ": ping\n\n" if piece is None else f"data: {json.dumps({'text': piece})}\n\n"
            await stream.until_done()  # raises an error if the stream was closed before its end
            yield 'event: end\ndata: {"end": true}\n\n'
        except ChatError as error:
            yield f"event: error\ndata: {refuse(request, error).body.decode()}\n\n"

    stream = request.state.client.stream(question)
    request.state.watcher = asyncio.create_task(close_with_page())
    await stream.open()  # raises a refusal before the status is sent
    return StreamingResponse(events(), headers=HEADERS, media_type="text/event-stream")


@app.exception_handler(ChatError)
def refuse(request, error):
    text = str(error) if isinstance(error, InvalidInput) else TEXTS.get(error.http_status, "The site cannot answer.")
    headers = None if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    return JSONResponse({"detail": text}, error.http_status, headers)
