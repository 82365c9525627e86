"""The numbered static checks: everything that can be said about a recipe without reading a single image.

Numbers 1 to 31 and their names come from the specification of the language; 101 and up are ours. Every number reports a result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from refinery_beam.errors import RefineryError
from refinery_beam.recipe.checks import (
    compiler,
    contracts,
    inputs,
    language,
    locations,
    operations,
    partitions,
    pictures,
    sinks,
    splits,
    stored,
)
from refinery_beam.recipe.checks.context import Context, Findings
from refinery_beam.recipe.checks.unexecuted import refuse_unexecuted
from refinery_beam.recipe.load import Recipe

if TYPE_CHECKING:
    from refinery_beam.plugins.base import Plugin

__all__ = ["CHECKS", "CheckResult", "complete", "refuse_unexecuted", "run_checks"]

CHECKS: tuple[tuple[int, str, Callable[[Context], Findings]], ...] = (
    (1, "schema_version_recognized", language.schema_version_recognized),
    (2, "plugin_name_discoverable", language.plugin_name_discoverable),
    (3, "section_names_valid_for_plugin", language.section_names_valid_for_plugin),
    (4, "operations_declare_stages_and_splits", operations.operations_declare_stages_and_splits),
    (5, "augmentations_train_only", operations.augmentations_train_only),
    (6, "fit_on_train_uses_train_split", operations.fit_on_train_uses_train_split),
    (7, "operations_reference_declared_fields", operations.operations_reference_declared_fields),
    (8, "splits_partition_correctly", splits.splits_partition_correctly),
    (9, "stratification_keys_exist", splits.stratification_keys_exist),
    (10, "class_imbalance_strategy_in_one_place", splits.class_imbalance_strategy_in_one_place),
    (11, "visualization_well_formed", pictures.visualization_well_formed),
    (12, "overlays_reference_declared_sections", language.overlays_reference_declared_sections),
    (13, "labels_resolvable", inputs.labels_resolvable),
    (14, "generation_output_schema_consistent", operations.generation_output_schema_consistent),
    (15, "split_references_defined", splits.split_references_defined),
    (16, "sample_data_strict_subset", splits.sample_data_strict_subset),
    (17, "contract_fields_exist_at_stage", contracts.contract_fields_exist_at_stage),
    (18, "plugin_operation_params_validate", operations.plugin_operation_params_validate),
    (19, "label_from_spec_resolves", inputs.label_from_spec_resolves),
    (20, "partitions_consistent", partitions.partitions_consistent),
    (21, "unlabeled_consistency", partitions.unlabeled_consistency),
    (22, "stats_from_instance_mutually_exclusive_with_fit_source", operations.stats_from_instance_exclusive),
    (23, "featurization_output_field_loader_collision", inputs.featurization_output_field_loader_collision),
    (24, "sinks", sinks.sinks),
    (25, "visualization_group_by_resolvable", pictures.visualization_group_by_resolvable),
    (26, "pixel_altering_transform_requires_sink", operations.pixel_altering_needs_no_sink),
    (27, "dtype_altering_transform_incompatible_with_aggressive", operations.dtype_altering_with_aggressive),
    (28, "extension_keys_declared", language.extension_keys_declared),
    (29, "splits_operate_at_clip_level", splits.splits_operate_at_clip_level),
    (30, "npy_sink_targets_pre_normalize_field", sinks.npy_sink_targets_pre_normalize_field),
    (31, "tree_layout_label_source", inputs.tree_layout_label_source),
    (101, "paths_exist", locations.paths_exist),
    (102, "op_names_unique", language.op_names_unique),
    (103, "names_path_safe", language.names_path_safe),
    (104, "param_types", operations.param_types),
    (105, "assertion_params", contracts.assertion_params),
    (106, "stats_source_resolves", operations.stats_source_resolves),
    (107, "output_inside_source", locations.output_inside_source),
    (108, "schema_reachable", compiler.schema_reachable),
    (109, "output_options", stored.output_options),
    (110, "source_types_known", inputs.source_types_known),
    (111, "everything_executed", compiler.everything_executed),
    (112, "plan_can_be_made", compiler.plan_can_be_made),
)


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check. ``errors`` are failures, or the warnings of a check that only warns; ``note`` says why it passes.

    ``skip``: it was not made, because others failed, or because listing must tell first which splits there are.
    """

    number: int
    name: str
    status: Literal["pass", "fail", "warn", "skip"]
    errors: tuple[RefineryError, ...] = ()
    note: str = ""


def run_checks(recipe: Recipe, plugin: Plugin, *, cache_root: str | None = None) -> list[CheckResult]:
    """Run every static check; none stops the others, and an exception inside one is a bug that is raised, not a result.

    Those that the compiler makes are skipped here; see `complete`. `cache_root` is for ``output_inside_source``. Reads the head of local
    label tables and asks whether paths exist; reads no image.
    """
    context = Context(recipe, plugin, cache_root)
    results = []
    for number, name, check in CHECKS:
        findings = list(check(context))
        failures = tuple(f.error for f in findings if f.kind == "error" and f.error is not None)
        warnings = tuple(f.error for f in findings if f.kind == "warning" and f.error is not None)
        note = "; ".join(f.note for f in findings if f.note)
        status: Literal["pass", "fail", "warn", "skip"] = "fail" if failures else "warn" if warnings else "pass"
        results.append(CheckResult(number, name, "skip" if number in compiler.LATER else status, failures or warnings, note))
    return results


def complete(
    results: Iterable[CheckResult],
    errors: Iterable[RefineryError],
    *,
    planned: bool,
    warnings: Iterable[RefineryError] = (),
    unmade: Collection[int] = (),
) -> tuple[CheckResult, ...]:
    """The results of static checks with what `refuse_unexecuted`, the compiler and listing found: each error fails the check it belongs to.

    `planned`: the plan was made, so the checks of the compiler hold. `unmade` are checks of which a part could not be made.
    """
    found: dict[int, list[RefineryError]] = {}
    warned: dict[int, list[RefineryError]] = {}
    for group, given in ((found, errors), (warned, warnings)):
        for error in given:
            group.setdefault(compiler.check_of(error.code), []).append(error)
    whole = []
    for result in results:
        if result.number in found:
            earlier = result.errors if result.status == "fail" else ()
            result = replace(result, status="fail", errors=(*earlier, *found[result.number]))
        elif result.number in compiler.LATER and (planned or result.number == compiler.EXECUTED):
            result = replace(result, status="pass")
        if result.number in warned and result.status in ("pass", "warn"):
            result = replace(result, status="warn", errors=(*result.errors, *warned[result.number]))
        if result.number in unmade and result.status == "pass":
            result = replace(result, status="skip")
        whole.append(result)
    return tuple(whole)
