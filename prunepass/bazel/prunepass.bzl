"""Pruned models as build products: the rules prunepass_model and prunepass_local_tool.

They read and write declared files only, and need no network: remote execution and caches do as they do for a compiler.
"""

_SEARCH = {
    "budget": "--budget",
    "score": "--score",
    "target_engine": "--target",
    "pipeline": "--pipeline",
    "policy": "--policy",
    "driver": "--driver",
    "repair": "--repair",
}
_LISTS = {
    "keep": "--keep",
    "free": "--free",
    "settings": "--set",
}
# Functions of the user's, each a string.
_CODE = ["evaluate", "tune", "loss"]

# What a plan calls its tensors has these and nothing else.
_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

# What may have an influence on a Python program is the same everywhere.
_ENV = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}

def _applied(ctx):
    """The arguments, inputs and outputs of applying the plan."""
    names = _SEARCH.keys() + _LISTS.keys() + ["align", "ratios", "samples", "config"] + _CODE
    given = [name for name in names + ["plan_out", "tensors_out", "report"] if getattr(ctx.attr, name)]
    if given:
        fail("plan says what goes; %s is for a search" % given[0])
    return ["apply", ctx.file.plan.path, ctx.file.model.path], _plan_files(ctx), []

def _plan_files(ctx):
    """A plan that is given, and its tensors."""
    return [ctx.file.plan] + ([ctx.file.tensors] if ctx.file.tensors else [])

def _tensors_name(plan):
    """For the tensors of a plan: its own name, as far as a plan can say it."""
    stem = plan.basename[:-len(".json")] if plan.basename.endswith(".json") else plan.basename
    return "".join([letter if letter in _PLAIN else "_" for letter in stem.elems()]) + ".safetensors"

def _searched(ctx):
    """The arguments, inputs and outputs of a search; a plan always comes out of it."""
    if ctx.attr.align and ctx.attr.target_engine:
        fail("align and target_engine exclude each other")
    if ctx.file.tensors:
        fail("tensors are those of a plan; a search leaves them in tensors_out")
    plan = ctx.outputs.plan_out or ctx.actions.declare_file(ctx.outputs.out.basename + ".plan.json")
    tensors = ctx.outputs.tensors_out or ctx.actions.declare_file(_tensors_name(plan), sibling = plan)
    args = ["prune", ctx.file.model.path, "--plan-out", plan.path, "--tensors-out", tensors.path]
    inputs, outputs = [], [plan, tensors]
    for name, option in _SEARCH.items():
        if getattr(ctx.attr, name):
            args += [option, getattr(ctx.attr, name)]
    if ctx.attr.align:
        args += ["--align", str(ctx.attr.align)]
    for name, option in _LISTS.items():
        args += [part for value in getattr(ctx.attr, name) for part in [option, value]]
    for pattern, fraction in ctx.attr.ratios.items():
        args += ["--ratio", "%s=%s" % (pattern, fraction)]
    if ctx.file.samples:
        args += ["--data", ctx.file.samples.path]
        inputs.append(ctx.file.samples)
    for name in _CODE:
        if getattr(ctx.attr, name):
            args += ["--" + name, ctx.expand_location(getattr(ctx.attr, name), ctx.attr.data)]
    if ctx.file.config:
        args += ["--config", ctx.file.config.path]
        inputs.append(ctx.file.config)
    if ctx.outputs.report:
        args += ["--report", ctx.outputs.report.path]
        outputs.append(ctx.outputs.report)
    return args, inputs, outputs

def _run(ctx, mnemonic, args, inputs, outputs):
    ctx.actions.run(
        executable = ctx.executable.tool,
        arguments = args + [part for shape in ctx.attr.shape for part in ["--shape", shape]] + ["-q"],
        inputs = depset([ctx.file.model] + ctx.files.data + inputs),
        outputs = outputs,
        env = _ENV,
        execution_requirements = {"block-network": "1"},
        mnemonic = mnemonic,
        progress_message = "%s %s" % (mnemonic, ctx.label),
    )

def _prunepass_model_impl(ctx):
    out = ctx.outputs.out
    args, inputs, outputs = _applied(ctx) if ctx.file.plan else _searched(ctx)
    plan = _plan_files(ctx) if ctx.file.plan else outputs[:2]
    model = [out]
    if ctx.attr.external_data:
        model.append(ctx.actions.declare_file(out.basename + ".data", sibling = out))
    _run(ctx, "PrunepassModel", args + ["-o", out.path], inputs, model + outputs)

    groups = {"plan": depset(plan)}
    if ctx.outputs.report:
        groups["report"] = depset([ctx.outputs.report])
    if ctx.attr.check or ctx.attr.backend:
        sarif = ctx.actions.declare_file(out.basename + ".sarif")
        gate = ["check", out.path, "--against", ctx.file.model.path, "--plan", plan[0].path, "--sarif", sarif.path]
        gate += ["--backend", ctx.attr.backend] if ctx.attr.backend else []
        _run(ctx, "PrunepassCheck", gate, model + plan, [sarif])

        # Bazel makes these with the target, whether anything reads them or not; before Bazel 5 only where
        # --experimental_run_validations says so.
        groups["_validation"] = depset([sarif])
    return [
        DefaultInfo(files = depset(model), runfiles = ctx.runfiles(files = model)),
        OutputGroupInfo(**groups),
    ]

prunepass_model = rule(
    implementation = _prunepass_model_impl,
    doc = "A smaller model: from a plan, or from a search that leaves one.",
    attrs = {
        "align": attr.int(doc = "Channel counts come in multiples of this."),
        "backend": attr.string(doc = "Also fail where this engine is slower with the result; implies check."),
        "budget": attr.string(doc = "Fractions kept, such as macs=0.5."),
        "check": attr.bool(doc = "Prove the result, and fail the build where a promise does not hold."),
        "config": attr.label(allow_single_file = [".toml"], doc = "Options of the search."),
        "data": attr.label_list(allow_files = True, doc = "Other files that are read: weights of the model, code of evaluate, tune and loss."),
        "driver": attr.string(doc = "The loop around the passes."),
        "evaluate": attr.string(doc = "package.module:function, or $(location file.py):function of a file in data."),
        "external_data": attr.bool(doc = "Weights of the result lie in a file of their own: out + .data."),
        "free": attr.string_list(doc = "Outputs whose channels may go."),
        "keep": attr.string_list(doc = "Patterns of layers to leave alone."),
        "loss": attr.string(doc = "Of outputs and batch, as evaluate is named."),
        "model": attr.label(allow_single_file = [".onnx", ".pt2"], mandatory = True),
        "out": attr.output(mandatory = True),
        "pipeline": attr.string(doc = "Replaces the default passes."),
        "plan": attr.label(allow_single_file = [".json"], doc = "Apply this plan; nothing is searched."),
        "plan_out": attr.output(doc = "The plan that the search finds."),
        "policy": attr.string(doc = "How channels are chosen from scores."),
        "ratios": attr.string_dict(doc = "Fractions kept by pattern of layers."),
        "repair": attr.string(doc = "How weights make up for what went."),
        "report": attr.output(doc = ".json, .html or .md."),
        "samples": attr.label(allow_single_file = True, doc = "Inputs to learn from (--data): .npz, .npy, a folder."),
        "score": attr.string(),
        "settings": attr.string_list(doc = "key=value pairs, as with --set."),
        "shape": attr.string_list(doc = "Shapes of example inputs."),
        "target_engine": attr.string(doc = "Sets the multiple for an engine."),
        "tensors": attr.label(allow_single_file = [".safetensors"], doc = "Whole tensors of the plan, beside it."),
        "tensors_out": attr.output(doc = "Whole tensors of the plan that the search finds; beside it, empty where none."),
        "tune": attr.string(doc = "Trains a model in place, as evaluate is named."),
        "tool": attr.label(executable = True, cfg = "exec", mandatory = True, doc = "The command prunepass."),
    },
)

def _prunepass_local_tool_impl(ctx):
    path = ctx.attr.path or ctx.var.get("prunepass", "")
    if not path.startswith("/"):
        fail("name the command: bazel build --define prunepass=/absolute/path/of/prunepass")
    script = ctx.actions.declare_file(ctx.label.name)
    quoted = path.replace("'", "'\\''")
    ctx.actions.write(script, "#!/bin/sh\nexec '%s' \"$@\"\n" % quoted, is_executable = True)
    return [DefaultInfo(executable = script)]

prunepass_local_tool = rule(
    implementation = _prunepass_local_tool_impl,
    doc = "The prunepass of this machine's Python environment, for `tool`: quick to set up, and not hermetic.",
    attrs = {"path": attr.string(doc = "Absolute; without it, --define prunepass=PATH tells.")},
    executable = True,
)
