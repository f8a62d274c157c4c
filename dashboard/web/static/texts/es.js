// Written by `python -m tools.languages compile`.
globalThis.affectEdgeTexts = {plural: (n) => Number((n != 1)), texts: {}};
