"""Takes the screens anew."""

from tests.screens import FOLDER, SCREENS, drawn

for name in SCREENS:
    (FOLDER / f"{name}.svg").write_text(drawn(name), encoding="utf-8")
