"""The root ``action.yml``: the steps of ``flint-ml gate``, each in its own container, the command on the runner."""

from __future__ import annotations

from flint_ml.commands.gate_plan import ORDER
from flint_ml.runner import Action, dashed

UPLOAD = "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0"
_HIDDEN = {"name"}
_PLAN_INPUTS = ("command", "expect", "register", "model", "config", "working-directory", "results-dir")


def _with(action: Action, gate: set[str], special: dict[str, str]) -> list[str]:
    """The ``with:`` lines that hand the gate's inputs to one step."""
    values = {dashed(key): f"${{{{ inputs.{dashed(key)} }}}}" for key in action.inputs.model_fields}
    values = {name: value for name, value in values.items() if name in gate and name != "name"} | special
    return ["      with:", *(f"        {name}: {value}" for name, value in values.items())]


def _step(name: str, condition: str, lines: list[str], *, go_on: bool = True) -> list[str]:
    head = [f"    - id: {name}", f"      if: ${{{{ {condition} }}}}"]
    # The report must come in every case; the last step turns the job red again.
    return [*head, *(["      continue-on-error: true"] if go_on else []), *lines]


def _planned(step: str, *after: str) -> str:
    planned = f"contains(fromJSON(steps.plan.outputs.steps || '[]'), '{step}')"
    return " && ".join([planned, *(f"steps.{name}.outcome != 'failure'" for name in after)])


def _plan_step() -> list[str]:
    env = [f"        {name.upper().replace('-', '_')}: ${{{{ inputs.{name} }}}}" for name in _PLAN_INPUTS]
    options = " ".join(f'--{name} "${name.upper().replace("-", "_")}"' for name in _PLAN_INPUTS)
    return [
        "    - id: setup",
        "      uses: ./actions/setup",
        "    - id: plan",
        "      shell: bash",
        "      env:",
        *env,
        f"      run: flint-ml gate-plan {options}",
    ]


def _train_step() -> list[str]:
    env = {
        "COMMAND": "${{ steps.plan.outputs.command }}",
        **{name.upper().replace("-", "_"): f"${{{{ inputs.{name} }}}}" for name in _PLAN_INPUTS[-3:]},
    }
    options = " ".join(f'--{name} "${name.upper().replace("-", "_")}"' for name in _PLAN_INPUTS[-3:])
    return [
        "      shell: bash",
        "      env:",
        *(f"        {name}: {value}" for name, value in env.items()),
        f'      run: flint-ml record --name train --command "$COMMAND" {options}',
    ]


def _verdict_step() -> list[str]:
    outcomes = " ".join(f"${{{{ steps.{name}.outcome }}}}" for name in (*ORDER, "report", "register-model"))
    return [
        "    - id: verdict",
        "      if: ${{ !cancelled() }}",
        "      shell: bash",
        "      env:",
        f"        OUTCOMES: {outcomes}",
        "        DECISION: ${{ steps.report.outputs.decision }}",
        "      run: |",
        '        case " $OUTCOMES " in',
        '          *" failure "*)',
        '            echo "status=failed" >> "$GITHUB_OUTPUT"',
        '            echo "The gate is closed (decision: ${DECISION:-none}); the report says why."',
        "            exit 1 ;;",
        "        esac",
        '        echo "status=passed" >> "$GITHUB_OUTPUT"',
    ]


def _inputs(token_default: str, described: dict[str, str]) -> list[str]:
    lines = ["inputs:"]
    for name, text in described.items():
        if name in _HIDDEN:
            continue
        lines += [f"  {name}:", f"    description: {text}", "    required: false"]
        if name == "token":
            lines.append(f"    default: {token_default}")
    return lines


def root_action_yml(gate: Action, steps: dict[str, Action], described: dict[str, str], token_default: str) -> str:
    """The text of the root ``action.yml``; ``described`` holds each input's quoted description."""
    names = {dashed(key) for key in gate.inputs.model_fields}
    lines = [
        "# Made by `make metadata`; edit the models.",
        "name: flint-ml gate",
        f'description: "{gate.description}"',
        "author: moja global",
        "branding:",
        "  icon: check-circle",
        "  color: green",
        *_inputs(token_default, described),
        "outputs:",
        "  decision:",
        f'    description: "{gate.outputs["decision"]}"',
        "    value: ${{ steps.report.outputs.decision }}",
        "  status:",
        '    description: "`passed` or `failed`."',
        "    value: ${{ steps.verdict.outputs.status }}",
        "  report:",
        f'    description: "{gate.outputs["report"]}"',
        "    value: ${{ steps.report.outputs.report }}",
        "runs:",
        "  using: composite",
        "  steps:",
        *_plan_step(),
    ]
    after: list[str] = []
    common = {"results-dir", "config", "working-directory", "on-failure"}
    for name in ORDER:
        given = common if name == "run-gcbm" else names
        body = _train_step() if name == "train" else [f"      uses: ./actions/{name}", *_with(steps[name], given, {})]
        lines += _step(name, _planned(name, *after), body)
        after.append(name)
    report = {"expect": "${{ steps.plan.outputs.expect || inputs.expect }}"}
    report_lines = ["      uses: ./actions/post-report", *_with(steps["post-report"], names, report)]
    lines += _step("report", "!cancelled()", report_lines)
    lines += [
        "    - id: upload",
        "      if: ${{ !cancelled() && steps.plan.outputs.results != '' }}",
        f"      uses: {UPLOAD}",
        "      with:",
        "        name: ${{ inputs.artifact || format('flint-ml-results-{0}', github.job) }}",
        "        path: ${{ steps.plan.outputs.results }}",
        "        if-no-files-found: ignore",
        "        overwrite: true",
    ]
    register = {"require": "${{ inputs.require || steps.plan.outputs.require }}"}
    lines += _step(
        "register-model",
        _planned("register-model", *after, "report"),
        ["      uses: ./actions/register-model", *_with(steps["register-model"], names, register)],
    )
    return "\n".join([*lines, *_verdict_step()]) + "\n"
