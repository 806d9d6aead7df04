"""Recipes: what ships, what may be overridden, and what is refused in which words."""

import dataclasses
import tomllib
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bntt.config import Recipe, load_recipe
from bntt.config.recipe import PIECES
from bntt.config.sets import EVENTS, FOLDED, GREY
from bntt.config.values import GainDecay, Stages, each
from bntt.data import NAMES

FIELDS = {field.name: field.type for field in dataclasses.fields(Recipe)}
SMALLEST: dict[str, Any] = {
    "dataset": "digits",
    "arch": "vgg5",
    "num_steps": 4,
    "leak": 0.5,
    "epochs": 1,
    "batch_size": 8,
    "lr": 0.1,
}


def test_every_set_that_loads_can_be_trained_on():
    assert set(get_args(FIELDS["dataset"])) == set(NAMES)


def test_windows_are_of_bntt_and_not_for_early_steps():
    with pytest.raises(ValueError, match=r"got 2 with norm='shared'"):
        load_recipe("digits", ["window=2", "norm=shared"])
    early = ["early_steps=1", "early_epochs=1"]
    with pytest.raises(ValueError, match=r"norm='bntt' with window=2 pools"):
        load_recipe("digits", ["window=2", *early])


def test_overrides_are_toml_and_the_last_one_wins():
    overrides = [
        "epochs=2",
        "lr = 1",
        "leak=1e-1",
        "norm=shared",
        "loss='last'",
        "epochs=3",
    ]
    recipe = load_recipe("digits", overrides)
    assert (recipe.epochs, recipe.leak, recipe.norm, recipe.loss) == (
        3,
        0.1,
        "shared",
        "last",
    )
    assert recipe.lr == 1.0
    assert type(recipe.lr) is float
    same = dataclasses.replace(
        load_recipe("digits"), epochs=3, lr=1, leak=0.1, norm="shared", loss="last"
    )
    assert recipe == same


def a_value(kind):
    if kind == Stages:
        return st.integers(1, 4) | st.lists(st.integers(1, 4), min_size=1).map(tuple)
    if kind == GainDecay:
        return st.just("weight_decay") | st.floats(0, 1)
    if choices := get_args(kind):
        return st.sampled_from(choices)
    if kind is str:
        return st.sampled_from(["", "240x180"])
    return st.integers(1, 4) if kind is int else st.floats(1e-300, 0.999)


@settings(deadline=None, max_examples=50)
@given(values=st.fixed_dictionaries({name: a_value(kind) for name, kind in FIELDS.items()}))
def test_what_is_written_is_read_back_equal(tmp_path_factory, values):
    values |= {"batch_size": 2, "white": 254 + values["white"]}
    events = values["dataset"] in EVENTS
    if events or values["dataset"] in GREY:
        values["normalize"] = "own"
    if values["dataset"] not in FOLDED:
        values["fold"] = 0
    if events != (values["encoder"] == "events"):
        values["encoder"] = "events" if events else "direct"
    values["arch"] = "seq" if values["encoder"] in PIECES else "vgg9"
    if values["norm"] != "bntt" or values["num_steps"] % values["window"]:
        values["window"] = 1
    pools = values["norm"] == "shared" or values["window"] > 1
    steps, epochs = each(values["early_steps"]), each(values["early_epochs"])
    rising = sorted({*steps[: len(epochs)]})
    if pools or steps != tuple(rising) or len(steps) != len(epochs):
        values |= {"early_steps": 0, "early_epochs": 0}
    elif steps[-1] >= values["num_steps"]:
        values["num_steps"] += steps[-1]
    values["epochs"] += sum(epochs)
    if values["norm"] == "none":
        values["gain_decay"] = "weight_decay"
    if values["loss"] == "last":
        values["step_growth"] = 1.0
    if values["encoder"] != "events" or values["early_steps"]:
        values["augment"] = "none"  # recordings alone are mixed, and all time-steps
    recipe = Recipe(**values)
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert load_recipe(path) == recipe
    assert load_recipe(str(path)) == recipe
    assert set(tomllib.loads(recipe.to_toml())) == set(FIELDS)


REFUSED = {
    "early_steps=1": r"`early_steps` and `early_epochs` go together",
    "early_epochs=1": r"`early_steps` and `early_epochs` go together",
    "early_steps=[]": r"`early_steps` must be a whole number such as 4, or a list .* \[\]",
    "early_steps=[1, 'a']": r"`early_steps` must be a whole number .* got 'a'",
    "early_steps=[2, -1]": r"`early_steps` must not be negative, got \(2, -1\)",
    "gain_decay=-1": r"`gain_decay` must not be negative, got -1",
    "gain_decay=weight": r"`gain_decay` must be a number such as 5e-4, or 'weight_decay'",
    "gain_decay=true": r"`gain_decay` must be a number .* got True",
    "step_growth=0": r"`step_growth` must be positive",
    "activity_penalty=-1": r"`activity_penalty` must not be negative",
    "target_rate=1": r"`target_rate` must lie in \[0, 1\)",
    "target_rate=0.1": r"activity penalty ends, but there is none, got 0\.1",
    "epochs": r"written key=value, such as epochs=2, but got 'epochs'",
    "timesteps=3": r"Unknown recipe key 'timesteps'\. Did you mean 'num_steps'\? Known: d",
    "=3": r"Unknown recipe key ''",
    "a.b=3": r"Unknown recipe key 'a\.b'",
    "sensor=34": r"`sensor` must be text in quotes, got 34",
    "sensor=240x": r"`sensor` must be the width and height .* got '240x'",
    "outside=keep": r"Unknown outside 'keep'\. .*Known: refuse, drop",
    "lr=fast": r"`lr` must be a number such as 0\.3 or 1e-4, got 'fast'",
    "lr=.3": r"`lr` must be a number such as 0\.3 or 1e-4, got '\.3'",
    "lr=true": r"`lr` must be a number .* got True",
    "lr=nan": r"`lr` must be finite, got nan",
    "lr=inf": r"`lr` must be finite, got inf",
    "lr=0": r"`lr` must be positive, got 0",
    "epochs=2.0": r"`epochs` must be a whole number such as 25, got 2\.0",
    "epochs=true": r"`epochs` must be a whole number .* got True",
    "epochs=0": r"`epochs` must be at least 1, got 0",
    "epochs=": r"`epochs` must be a whole number .* got ''",
    "epochs=[1]": r"`epochs` must be a whole number .* got \[1\]",
    "epochs=4294967297": r"`epochs` must lie below 2\*\*32, got 4294967297\.",
    "epochs=" + "9" * 5000: r"`epochs` must be a whole number .* got '9{59}…",
    "epochs=0x" + "f" * 5000: r"`epochs` must lie below 2\*\*32, got 0xf{58}…",
    "lr=" + "[" * 100_000: r"`lr` must be a number .* got '\[{59}…",
    "lr=" + "[" * 3000 + "]" * 3000: r"`lr` must be a number .* got '\[{59}…",
    "lr={a=" * 2000: r"`lr` must be a number .* got '\{a=",
    "lr=1e400": r"`lr` must be finite, got inf",
    "lr=-nan": r"`lr` must be finite, got nan",
    "lr=1,5": r"`lr` must be a number .* got '1,5'",
    "lr=2024-01-31": r"`lr` must be a number .* got datetime\.date\(2024, 1, 31\)",
    "norm=2024-01-31": r"`norm` must be one of bntt, shared, none, got datetime",
    "norm=[bntt]": r"Unknown norm '\[bntt\]'",
    "norm={a = 1}": r"`norm` must be one of bntt, shared, none, got \{'a': 1\}",
    "epochs='2'": r"`epochs` must be a whole number .* got '2'",
    "Epochs=2": r"Unknown recipe key 'Epochs'\. Did you mean 'epochs'\?",
    "epochs=\udcff": r"`epochs` must be a whole number .* got '\\udcff'",
    "epochs=2\nseed=3": r"sets one key, but 'epochs=2\\nseed=3' holds several lines",
    "num_steps=0": r"`num_steps` must be at least 1",
    "batch_size=0": r"`batch_size` must be at least 1",
    "batch_size=1": r"`batch_size` .* at least 2 with norm='bntt', got 1\. .*norm='none'",
    "leak=20": r"`leak` must lie in \[0, 1\] .* converts to 1 - 1/tau\), got 20",
    "leak=1.01": r"`leak` must lie in \[0, 1\]",
    "leak=-0.1": r"`leak` must lie in \[0, 1\]",
    "norm=bnt": r"Unknown norm 'bnt'\. Did you mean 'bntt'\? Known: bntt, shared, none",
    "norm=": r"Unknown norm ''",
    "norm=3": r"`norm` must be one of bntt, shared, none, got 3",
    "dataset=cifar": r"Unknown dataset 'cifar'\. Did you mean 'cifar10",
    "dataset=cifar10\nfold=1": r"Unknown dataset 'cifar10\\nfold=1'",
    "v_threshold=0": r"`v_threshold` must be positive",
    "surrogate_height=0": r"`surrogate_height` must be positive",
    "momentum=1": r"`momentum` must lie in \[0, 1\)",
    "weight_decay=-1": r"`weight_decay` must not be negative",
    "warmup=0": r"`warmup` must lie in \(0, 1\)",
    "warmup=1.0": r"`warmup` must lie in \(0, 1\)",
    "label_smoothing=1": r"`label_smoothing` must lie in \[0, 1\)",
    "cutout=-1": r"`cutout` must not be negative",
    "validation=-1": r"`validation` must not be negative",
    "fold=5": r"`fold` must be one of the five folds 0 to 4, got 5",
    "seed=-1": r"`seed` must lie in \[0, 2\*\*32\), got -1",
    "seed=4294967296": r"`seed` must lie in \[0, 2\*\*32\)",
    "normalize=authors": r"dataset='digits' has none\. Use normalize='own'",
    "encoder=events": r"dataset='digits' needs another encoder, got encoder='events'",
    "dataset=nmnist": r"dataset='nmnist' needs encoder='events', got encoder='direct'",
    "arch=seq": r"arch='seq' and encoder='direct' do not go together",
    "encoder=rows": r"arch='vgg5' and encoder='rows' do not go together",
    "window=3": r"`window` must divide num_steps \(4\)",
    "window=0": r"`window` must be at least 1",
    "split=random": r"Unknown split 'random'\. Did you mean 'random-90-10'",
    "frames=events": r"Unknown frames 'events'\. Known: time, count",
    "image_size=-1": r"`image_size` must not be negative",
    "permutation=-1": r"`permutation` must lie in \[0, 2\*\*32\)",
}


@pytest.mark.parametrize("override", REFUSED)
def test_an_impossible_override_is_refused(override):
    with pytest.raises(ValueError, match=REFUSED[override]):
        load_recipe("digits", [override])


@pytest.mark.parametrize(
    "override",
    [
        "leak=0",
        "leak=1",
        "momentum=0",
        "weight_decay=0",
        "label_smoothing=0",
        "seed=4294967295",
        "num_steps=1",
        "epochs=1",
    ],
)
def test_the_ends_of_a_range_belong_to_it(override):
    key, value = override.split("=")
    assert getattr(load_recipe("digits", [override]), key) == int(value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["norm=none", "gain_decay=0.1"], "but norm='none' has none, got 0.1"),
        (["loss=last", "step_growth=2"], "but loss='last' has one, got 2.0"),
    ],
)
def test_what_would_do_nothing_is_refused(overrides, said):
    with pytest.raises(ValueError, match=said):
        load_recipe("digits", overrides)


def test_a_list_of_one_stage_is_that_stage():
    overrides = ["early_steps=[1]", "early_epochs=[2]"]
    plain = ["early_steps=1", "early_epochs=2"]
    assert load_recipe("digits", overrides) == load_recipe("digits", plain)


def test_one_image_is_a_batch_where_nothing_is_normalised():
    assert load_recipe("digits", ["batch_size=1", "norm=none"]).batch_size == 1


def test_only_digits_have_folds():
    assert load_recipe("digits", ["fold=4"]).fold == 4
    with pytest.raises(ValueError, match=r"`fold` must be 0 for dataset='cifar10', got 1"):
        load_recipe("cifar10-vgg9", ["fold=1"])


def test_a_huge_number_is_no_float():
    with pytest.raises(ValueError, match="`lr` must be finite"):
        load_recipe("digits", ["lr=1" + "0" * 400])


def test_an_unknown_recipe_suggests_the_nearest():
    expected = (
        r"Unknown recipe 'cifar10-vg9'\. Did you mean 'cifar10-vgg9'\? .* a \.toml file"
    )
    with pytest.raises(ValueError, match=expected):
        load_recipe("cifar10-vg9")
    with pytest.raises(ValueError, match="Unknown recipe '../recipes/digits'"):
        load_recipe("../recipes/digits")


def test_a_recipe_file_that_is_not_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No recipe file .*mine\.toml .*go by name: c"
    ):
        load_recipe(tmp_path / "mine.toml")


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_of_the_users_own(tmp_path):
    text = Recipe(**SMALLEST).to_toml()
    assert load_recipe(written(tmp_path, text), ["seed=7"]) == dataclasses.replace(
        Recipe(**SMALLEST), seed=7
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr = = 1", r"mine\.toml is not a TOML file: .*line 1"),
        (b"\xff\xfe", r"mine\.toml is not a TOML file: it is written in UTF-16.*as UTF-8"),
        ("lr = 1\n".encode("utf-16"), r"mine\.toml .* UTF-16"),
        (
            "epochs = 1\n# Grüße\n".encode("latin-1"),
            r"mine\.toml .*line 2 holds the byte 0xfc, which is not UTF-8\. Save it as",
        ),
        (
            "lr = " + "[" * 100_000,
            r"mine\.toml is not a TOML file: it is nested too deeply",
        ),
        ("lr = " + "9" * 5000, r"mine\.toml is not a TOML file: .*digits"),
        ("[train]\nlr = 1", r"Unknown recipe key 'train'.*\(in .*mine\.toml\)"),
        (
            "lrr = 1",
            r"Unknown recipe key 'lrr'\. Did you mean 'lr'\? .*\(in .*mine\.toml\)",
        ),
        (
            "lr = 1\narch = 'vgg9'",
            r"mine\.toml must also set dataset, num_steps, leak, epochs",
        ),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path, text, expected):
    with pytest.raises(ValueError, match=expected):
        load_recipe(written(tmp_path, text))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_editor_writes_recipes(tmp_path, mark, end):
    text = mark + "# Grüße\n" + Recipe(**SMALLEST).to_toml()
    path = written(tmp_path, text.replace("\n", end))
    assert load_recipe(path) == Recipe(**SMALLEST)


def test_a_bad_value_in_a_file_names_the_file(tmp_path):
    text = Recipe(**SMALLEST).to_toml()
    single = written(tmp_path, text.replace("leak = 0.5", "leak = 5"))
    with pytest.raises(
        ValueError, match=r"`leak` must lie in .* got 5.0 \(in .*mine\.toml\)\."
    ):
        load_recipe(single)
    with pytest.raises(ValueError, match=r"got 5.0 \(in .*mine\.toml\)\."):
        load_recipe(single, ["epochs=2"])
    assert load_recipe(single, ["leak=0.25"]).leak == 0.25
    pair = written(tmp_path, text.replace("window = 1", "window = 3"))
    with pytest.raises(ValueError, match=r"`window` must divide .* \(in .*mine\.toml\)\."):
        load_recipe(pair)


def test_a_bad_override_is_not_the_files_fault(tmp_path):
    path = written(tmp_path, Recipe(**SMALLEST).to_toml())
    with pytest.raises(ValueError, match=r"`window` must divide .*norm='bntt'\.$"):
        load_recipe(path, ["window=3"])
    with pytest.raises(ValueError, match=r"`leak` must lie in .* got 5\.0\.$"):
        load_recipe(path, ["leak=5"])


def test_values_given_in_python_are_checked_too():
    with pytest.raises(ValueError, match="`leak` must lie in"):
        dataclasses.replace(Recipe(**SMALLEST), leak=2)
    with pytest.raises(ValueError, match="Unknown arch 'vgg8'"):
        dataclasses.replace(Recipe(**SMALLEST), arch="vgg8")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(**SMALLEST).lr = 2  # pyright: ignore[reportAttributeAccessIssue]
