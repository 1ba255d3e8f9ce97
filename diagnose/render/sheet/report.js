for (const button of document.querySelectorAll(".command button")) {
  const text = button.previousElementSibling;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = document.body.dataset.copied || "✓";
    } catch {
      getSelection().selectAllChildren(text); // no clipboard in a page opened from a file: the text is selected instead
      button.textContent = "Ctrl+C";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
