"""Reports that people look at: one HTML page, or a figure for a paper."""

from ._engine import EngineView as EngineView
from ._engine import engine_view as engine_view
from ._figure import drawing as drawing
from ._figure import save_figure as save_figure
from ._html import to_html as to_html
from ._page import Page as Page
from ._page import Quality as Quality
from ._page import Trial as Trial
from ._page import page_of as page_of
from ._page import page_of_analysis as page_of_analysis
from ._pareto import front as front
