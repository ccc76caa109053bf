"""Each test case of Erlang/OTP's supervisor_SUITE has a twin by name, or a reason why it has none."""

from __future__ import annotations

import re
from pathlib import Path

CASES = [
    "sup_start_normal",
    "sup_start_ignore_child",
    "sup_start_ignore_temporary_child",
    "sup_start_ignore_temporary_child_start_child",
    "sup_start_ignore_temporary_child_start_child_simple",
    "sup_start_ignore_permanent_child_start_child_simple",
    "sup_start_error_return",
    "sup_start_fail",
    "sup_start_child_returns_error",
    "sup_start_restart_child_returns_error",
    "sup_start_child_returns_error_simple",
    "sup_start_map",
    "sup_start_map_simple",
    "sup_start_map_faulty_specs",
    "sup_stop_infinity",
    "sup_stop_timeout",
    "sup_stop_timeout_dynamic",
    "sup_stop_brutal_kill",
    "sup_stop_brutal_kill_dynamic",
    "sup_stop_race",
    "sup_stop_non_shutdown_exit_dynamic",
    "child_adm",
    "child_adm_simple",
    "extra_return",
    "child_specs",
    "child_specs_map",
    "sup_flags",
    "multiple_restarts",
    "one_for_one",
    "one_for_one_escalation",
    "simple_one_for_one_escalation",
    "one_for_all",
    "one_for_all_escalation",
    "rest_for_one_escalation",
    "one_for_all_other_child_fails_restart",
    "simple_one_for_one",
    "simple_one_for_one_extra",
    "simple_one_for_one_shutdown",
    "simple_one_for_one_corruption",
    "do_not_save_start_parameters_for_temporary_children",
    "simple_one_for_one_restart_ignore",
    "rest_for_one",
    "rest_for_one_other_child_fails_restart",
    "external_start_no_progress_log",
    "permanent_normal",
    "permanent_shutdown",
    "permanent_abnormal",
    "transient_normal",
    "transient_shutdown",
    "transient_abnormal",
    "temporary_normal",
    "temporary_shutdown",
    "temporary_abnormal",
    "faulty_application_shutdown",
    "child_unlink",
    "tree",
    "nonsignificant_temporary",
    "nonsignificant_transient",
    "significant_temporary",
    "significant_transient",
    "significant_simple",
    "significant_bystander",
    "significant_escalation",
    "count_children",
    "count_children_supervisor",
    "count_restarting_children",
    "do_not_save_child_specs_for_temporary_children",
    "simple_one_for_one_scale_many_temporary_children",
    "scale_start_stop_many_children",
    "temporary_bystander",
    "simple_global_supervisor",
    "hanging_restart_loop",
    "hanging_restart_loop_simple",
    "hanging_restart_loop_rest_for_one",
    "order_of_children",
    "format_log_1",
    "format_log_2",
    "already_started_outside_supervisor",
    "which_children",
    "which_children_simple_one_for_one",
]

NONE = {
    "sup_start_ignore_init": "the constructor has nothing to ignore",
    "get_callback_module": "for the handling of releases",
    **dict.fromkeys(
        [
            "significant_upgrade_never_any",
            "significant_upgrade_any_never",
            "significant_upgrade_never_all",
            "significant_upgrade_all_never",
            "significant_upgrade_any_all",
            "significant_upgrade_all_any",
            "significant_upgrade_child",
            "code_change",
            "code_change_map",
            "code_change_simple",
            "code_change_simple_map",
        ],
        "no code of a running process is changed",
    ),
}


def test_each_case_has_a_twin() -> None:
    folder = Path(__file__).parent
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("test_*s.py")))
    told = re.findall(r'"""supervisor_SUITE: (.*?)\.\s*"""', text, re.DOTALL)
    twins = {name for names in told for name in re.split(r",\s+", names)}
    assert set(CASES) - twins == set()
    assert twins <= set(CASES)
    assert len(set(CASES)) + len(NONE) == 93
