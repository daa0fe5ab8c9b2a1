"""Every module here registers its cases when imported; this imports them all."""

import importlib
import pkgutil

for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module("cases." + module)
