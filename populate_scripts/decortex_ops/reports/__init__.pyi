from .agreement_text import communities_sentence, geometry_sentence
from .anndata_export import AnnDataSummary, export_anndata
from .columns import (
    COMMUNITY_COLUMNS,
    CONFOUND_COLUMNS,
    DETECTABLE_COLUMNS,
    ESTIMAND_COLUMNS,
    FOLLOWING_COLUMNS,
    GENERATORS_COLUMNS,
    GEOMETRY_COLUMNS,
    LABEL_ANSWERS_COLUMNS,
    LABEL_DECODING_COLUMNS,
    LABEL_PARTITIONS_COLUMNS,
    RESULT_COLUMNS,
    SHARED_COLUMNS,
    STATES_COLUMNS,
    STATS_COLUMNS,
    SUMMARY_COLUMNS,
    TABLE_SCORE_COLUMNS,
)
from .export import MANIFEST, check_bundle, export_study
from .figures import RECIPES, draw_figure, one_of
from .k_table import curve_rows
from .methods_text import flat, methods_text
from .pdf import as_pdf, find_browser, require_browser
from .report import cell, report

__all__ = [
    "COMMUNITY_COLUMNS",
    "CONFOUND_COLUMNS",
    "DETECTABLE_COLUMNS",
    "ESTIMAND_COLUMNS",
    "FOLLOWING_COLUMNS",
    "GENERATORS_COLUMNS",
    "GEOMETRY_COLUMNS",
    "LABEL_ANSWERS_COLUMNS",
    "LABEL_DECODING_COLUMNS",
    "LABEL_PARTITIONS_COLUMNS",
    "MANIFEST",
    "RECIPES",
    "RESULT_COLUMNS",
    "SHARED_COLUMNS",
    "STATES_COLUMNS",
    "STATS_COLUMNS",
    "SUMMARY_COLUMNS",
    "TABLE_SCORE_COLUMNS",
    "AnnDataSummary",
    "as_pdf",
    "cell",
    "check_bundle",
    "communities_sentence",
    "curve_rows",
    "draw_figure",
    "export_anndata",
    "export_study",
    "find_browser",
    "flat",
    "geometry_sentence",
    "methods_text",
    "one_of",
    "report",
    "require_browser",
]
