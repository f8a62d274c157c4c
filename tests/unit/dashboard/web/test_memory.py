"""What the dashboard loads before anybody asks for an analysis or sends a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from dashboard.web.app import create_app
from dashboard.web.settings import DashboardOptions
create_app(DashboardOptions(data=Path(sys.argv[1])))
heavy = ("scipy", "cv2", "PIL", "ai_edge_litert", "tflite_runtime")
print([name for name in heavy if name in sys.modules])
"""


def test_pages_are_served_without_the_libraries_that_only_an_analysis_or_a_picture_needs(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
