"""Run the practice site of the documentation: ``python examples/practice_site.py [PORT]``. Enter stops it."""

import sys

from chatgpt4online import Shortcut
from chatgpt4online.testing import Answer, Widget, serve_site

HOURS = Shortcut("message", "Opening hours", "When are you open?")

ANSWERS = {
    "What is a nonce?": "A nonce is a short token. A site issues it and checks it.",
    "My name is Ann.": "Hello Ann!",
    "What is my name?": "Your name is Ann.",
    "When are you open?": "We are open from Monday to Friday.",
    "Tell me a story": ["Once upon a time", " there was a fox", "."],
    "What can you do?": Answer("I can:\n\n- *repeat* what you say\n- say when we are open", shortcuts=[HOURS]),
    "What is in the picture?": "A cat.",
    "What does the file say?": "It says hello.",
}
SUPPORT = Widget("support", name="Support", start_sentence="How can I help?", uploads=True, multi_upload=True)
BOTS = ["default", SUPPORT]
USERS = {"ann": "abcd efgh ijkl mnop qrst uvwx"}


def answer(chat):
    """Return the answer to a question: one of the above, or the question itself."""
    return ANSWERS.get(chat.message, f"You said: {chat.message}")


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    with serve_site(answer, bots=BOTS, users=USERS, port=port) as site:
        print(f"The practice site is at {site.url}. Press Enter to stop it.", flush=True)
        sys.stdin.readline()
