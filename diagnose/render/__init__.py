"""Shows a diagnosis: `document` for machines, `text` for people. The answer is the same in both."""
