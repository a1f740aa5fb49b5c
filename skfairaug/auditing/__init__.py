"""Audit: measures per group with intervals, tests of the gaps, a page and a model card."""

from skfairaug.auditing._audit import audit, audit_predictions
from skfairaug.auditing._display import GroupMetricsDisplay
from skfairaug.auditing._report import AuditReport

__all__ = ["AuditReport", "GroupMetricsDisplay", "audit", "audit_predictions"]
