"""The web application: pages, routes, guards, and the server that listens."""

import sys
from typing import Any, cast

# FastAPI asks of each parameter whether it is a model of pydantic 1, and has none where that cannot
# be imported. There is none here, and its 3 MB would stay.
cast("dict[str, Any]", sys.modules).setdefault("pydantic.v1", None)
