"""Break the package on purpose, one bug at a time, and see whether a test notices.

    python scripts/mutants.py               all of them, a table on standard output
    python scripts/mutants.py pool gain     those with one of the words in file or name

Each bug is put into a copy of the package, and the tests that ought to notice run against the
copy. A survivor is a hole in the tests: the exit status is then 1. Each line of `BUGS` is a
name, the text to replace (it occurs once in the file) and what to put there.
"""
# ruff: noqa: E501 - a bug reads best on one line

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "bntt"

# the first failure will do: hypothesis need not look for a simpler one
RUNNER = """
import sys, pytest
from hypothesis import Phase, settings
settings.register_profile("first", phases=[Phase.explicit, Phase.generate])
settings.load_profile("first")
sys.exit(pytest.main(sys.argv[1:]))
"""

BUGS = {
    ("ops/surrogate.py", "test_surrogate.py"): [
        ("fires at the threshold", "return (u > v_threshold)", "return (u >= v_threshold)"),
        ("1/v_threshold forgotten", "derivative(u / v_threshold - 1) / v_threshold", "derivative(u / v_threshold - 1)"),
        ("triangle's width ignored", "(1 - x.abs() * steepness)", "(1 - x.abs())"),
        ("arctangent too steep", "math.pi * self.alpha / 2", "math.pi * self.alpha"),
        ("rectangle twice as wide", "1 / self.width, self.width / 2", "1 / self.width, self.width"),
    ],
    ("ops/reference.py", "test_ops.py test_moments.py -k 'hand or moments'"): [
        ("leak missing in backward", "h = leak * g\n", "h = g\n"),
        ("gradient through the reset", "s.detach() if detach_reset else s", "s"),
        ("hard reset subtracts", "return u * (1 - s)", "return u - s"),
        ("soft reset unheard", "return ds - h * v_threshold, passed", "return ds, passed"),
        ("leak learns the wrong step", "before[-2::-1]", "before[:0:-1]"),
        ("variance unbiased", "z.var(1, correction=0)", "z.var(1, correction=1)"),
        ("factor 2 of k2 missing", "(2 / count * dvar)", "(1 / count * dvar)"),
        ("gradient of the mean dropped", "+ from_var + from_mean", "+ from_var"),
    ],
    ("ops/cpu/kernels.py", "test_moments.py test_ops.py"): [
        ("fires at the threshold", "fired = u > v_threshold\n        spikes", "fired = u >= v_threshold\n        spikes"),
        ("v0 overwritten", "v = scratch[: n1 - n0]", "v = v0[n0:n1] if len(v0) > 0 else scratch[: n1 - n0]"),
        ("last neuron unwritten", "spikes[n] = spike(fired, spikes[n])", "spikes[max(n, 1) - 1] = spike(fired, spikes[n])"),
        ("last membrane unwritten", "v_last[n0:n1] = v", "v_last[n0 : n1 - 1] = v[: len(v) - 1]"),
        ("leak missing in backward", "        h[n] = leak * g", "        h[n] = g"),
        ("nothing goes back in time", "        h[n] = leak * g", "        h[n] = 0 * g"),
        ("the backward pass resets softly", "membrane[n] = u\n        v[n] = u * zero if fired & hard else u", "membrane[n] = u\n        v[n] = u"),
        ("final gradient dropped", "_copy_or_zero(dv_last, n0, h)", "_copy_or_zero(dv_last[:0], n0, h)"),
        ("1/v_threshold forgotten", "height = height * scale", "height = height * one"),
        ("gradient through the reset", "listens = not detached and", "listens ="),
        ("gradient through a hard reset", "    if reset == HARD and detached:\n        for n in range(len(u)):\n            h[n] *= zero if u[n] > v_threshold else one", "    if reset == HARD and detached:\n        for n in range(len(u)):\n            h[n] *= one"),
        ("sums of one tile only", "sum_gz[n] += g[n]", "sum_gz[n] = g[n]"),
        ("variance about the pivot", "square[c] -= total[c] * offset", "square[c] -= 0"),
        ("one element for the pivot", "few = max(1, (n1 - n0) // C // 8)", "few = 1"),
        ("spread between blocks lost", "+ delta * delta * count * n / (count + n)", ""),
        ("last block counted as full", "n = float(min(rows, M - block * rows))", "n = float(rows)"),
        ("slope not about the mean", "centred = widen(z_r[c]) - mean_t[c]", "centred = widen(z_r[c])"),
    ],
    ("ops/cpu/bfloat16.py", "test_moments.py test_ops.py -k rounded"): [
        ("bfloat16 cut off", "np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))", "np.uint32(0)"),
        ("ties away from even", "np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))", "np.uint32(0x8000)"),
        ("NaN carried over", "if value == value else np.uint16(0x7FC0)", "if value == value else np.uint16(rounded)"),
    ],
    ("ops/cpu/__init__.py", "test_moments.py test_ops.py -k 'moments or threads or every_size'"): [
        ("blocks follow the threads", "max(1, BLOCK // max(1, C))", "max(1, BLOCK // max(1, C) // torch.get_num_threads())"),
        ("last block left out", "-(-M // _rows(C))", "max(1, M // _rows(C))"),
        ("factor 2 of k2 missing", "2 / M * dvar", "1 / M * dvar"),
        ("steepness for height", "*surrogate.constants", "*surrogate.constants[::-1]"),
    ],
    ("ops/autograd.py", "test_moments.py test_ops.py test_compile.py -k 'moments or learns or operator'"): [
        ("final gradient dropped", "dv = dv if ctx.keep_state else None", "dv = None"),
        ("mean and variance swapped", "moments_backward, z, dz, mean, dmean, dvar,", "moments_backward, z, dz, mean, dvar, dmean,"),
        ("reset always detached", "*settings, keep_state, asked = settings", "*settings, keep_state, asked = settings\n        settings[1] = True"),
        ("false promise of a membrane", "rows = z.shape[1] if keep_state else 0", "rows = z.shape[1]"),
    ],
    ("ops/__init__.py", "test_ops.py test_ops_errors.py"): [
        ("membrane kept unasked", "return spikes, v if keep_state else None\n\n\n", "return spikes, v\n\n\n"),
    ],
    ("ops/checks.py", "test_ops_errors.py test_ops_registered.py"): [
        ("shape of v0 unchecked", "v0 is not None and v0.shape != (M, C)", "False"),
        ("type unchecked", "value.dtype != dtype or value.device", "value.device"),
    ],
    ("ops/autograd.py", "test_ops_registered.py"): [
        ("layout taken on trust", "None if tensor is None else tensor.contiguous()", "tensor"),
    ],
    ("ops/cpu/kernels.py", "test_fuzz_ops.py test_ops_learned.py"): [
        ("NaN is no slope", "zero if above < zero else above", "max(zero, above)"),
        ("infinity resets to rest", "spikes[n] = spike(fired, spikes[n])\n        v[n] = u * zero", "spikes[n] = spike(fired, spikes[n])\n        v[n] = zero"),
        ("an unread membrane passes zeros", "passes, heard = t < T - 1 or len(dv_last) > 0,", "passes, heard = True,"),
        ("the threshold hears no reset", "    if reset == SOFT:\n        for n in range(len(u)):\n            total", "    if False:\n        for n in range(len(u)):\n            total"),
    ],
    ("ops/cpu/kernel_cache.py", "test_kernel_cache.py test_threads.py -k 'damage or source or disk or written'"): [
        ("damage trusted", "if digest == _digest(body) else None", "if True else None"),
        ("stale code trusted", "b\"\".join((folder / name).read_bytes() for name in SOURCES)", "b\"\""),
        ("needs a place for its cache", "except RuntimeError", "except KeyError"),
        ("a full disk ends it", "except OSError as error", "except KeyError as error"),
    ],
    ("ops/backends.py", "test_ops_errors.py"): [
        ("backend never ends", "        _blocks.set(tuple(other", "        tuple((other"),
        ("always the reference", 'return "reference" if _refusal(fastest, z) else fastest', 'return "reference"'),
        ("auto loses to the environment", "    if _blocks.get():", "    if _blocks.get() and _blocks.get()[-1][0] != \"auto\":"),
    ],
    ("ops/cpu/threads.py", "test_threads.py -k 'blocks or fork or fails'"): [
        ("torch's threads ignored", "min(torch.get_num_threads(), blocks)", "min(2, blocks)"),
        ("errors lost", "                helper.result()", "                helper.exception()"),
        ("needs threads to finish", "    except RuntimeError:", "    except KeyError:"),
        ("dead threads after a fork", "after_in_child=_pools.clear", "after_in_child=int"),
    ],
    ("layers/norms/bntt.py", "test_norm.py test_windows.py"): [
        ("wrong eps", "        eps: float = 1e-4,\n", "        eps: float = 1e-5,\n"),
        ("gain of the wrong window", "self.weight[rows]", "self.weight[: rows.stop - rows.start]"),
        ("a window begins with the part", "first = steps.start - rows.start * self.window", "first = 0"),
        ("windows counted as one step", "var.reshape(shape)), self.window", "var.reshape(shape)), 1"),
        ("half windows trained", "if self.training and (steps", "if False and (steps"),
    ],
    ("layers/norms/temporal.py", "test_norm.py"): [
        ("momentum swapped", "running_mean.dtype), self.momentum", "running_mean.dtype), 1 - self.momentum"),
        ("running variance biased", "(count / (count - 1))", "1.0"),
        ("running variance never moves", "running_var.lerp_(", "running_var.lerp("),
        ("statistics of the wrong step", "        rows = self.rows_of(steps)\n", "        rows = slice(0, steps.stop - steps.start)\n"),
        ("training length unchecked", " or (self.training and not whole)", ""),
        ("pooled spread lost", "var + (mean - over[:, None]).square()", "var"),
        ("one element has a variance", "if count < 2:", "if count < 1:"),
    ],
    ("layers/norms/baselines.py", "test_norm.py"): [
        ("pooled count forgotten", "var[None]), self.num_steps", "var[None]), 1"),
    ],
    ("ops/__init__.py", "test_norm.py"): [
        ("batch taken for channel", "x.movedim(2, -1).flatten", "x.movedim(1, -1).flatten"),
    ],
    ("layers/neuron.py", "test_neuron.py"): [
        ("sum read out, not mean", ".cumsum(0) / steps", ".cumsum(0)"),
        ("surrogate forgotten", "\"surrogate\": self.surrogate,", "\"surrogate\": Triangle(),"),
        ("membrane not passed on", "self.lif.scan(flat, a, b, v, return_state)", "self.lif.scan(flat, a, b, None, return_state)"),
        ("every chunk the first", "to_elements(z), start)", "to_elements(z), start and 0)"),
        ("membrane of any shape", "        _check_state(current, v)\n", ""),
    ],
    ("layers/neuron.py", "test_hooks.py test_layer_errors.py"): [
        ("hooks never fire", "        or module._forward_hooks\n", ""),
        ("another forward ignored", "type(module).forward is not kind.forward", "False"),
        ("rounded between norm and neuron", "self.norm(z.to(accumulator(z.dtype)), start)", "self.norm(z, start)"),
        ("the norm moves before the neuron refuses", "        self.lif.check_settings()\n", ""),
    ],
    ("machine/processes.py", "test_processes.py -m 'not slow'"): [
        ("all processes merge, whatever the group", "dist.all_gather(every, mine, group=group)", "dist.all_gather(every, mine)"),
        ("backward over all processes", "dist.all_reduce(together, group=ctx.group)", "dist.all_reduce(together)"),
        ("counts in float32", ".double()\n", "\n"),
        ("every process counts the same", "shares = counts / counts.sum(0)", "shares = torch.ones_like(counts) / len(counts)"),
    ],
    ("networks/vgg.py", "test_layer_errors.py -k batch"): [
        ("first layers move before the last refuses", "return [*areas, 1]", "return areas"),
    ],
    ("layers/encode.py", "test_encode.py test_encode_gradient.py"): [
        ("sign lost", "return sign * (", "return sign.abs() * ("),
        ("rescale ignored", "torch.full((), self.rescale,", "torch.full((), 2.0,"),
        ("equality silent", "(r * scale <= size)", "(r * scale < size)"),
        ("generator ignored", "dtype=wide, **source)", "dtype=wide)"),
        ("drawn in the images' type", "wide = accumulator(images.dtype)", "wide = images.dtype"),
        ("a gradient where every step fires", ".where(size < scale, 0)", ""),
        ("rescale forgotten in backward", "(grad / scale)", "grad"),
        ("NaN let in", "not torch.isfinite(images).all()", "torch.isinf(images).any()"),
    ],
    ("networks/vgg.py", "test_vgg.py test_parity.py -k 'not float32'"): [
        ("pooling before the neuron", "layer(conv(x).unflatten", "layer((average_pool(conv(x)) if pooled else conv(x)).repeat_interleave(1 + pooled, 2).repeat_interleave(1 + pooled, 3).unflatten"),
        ("time and batch swapped", "layer(conv(x).unflatten(0, (T, N)), start=start)", "layer(conv(x).unflatten(0, (N, T)).transpose(0, 1), start=start).transpose(0, 1)"),
        ("maximum for mean", "x.mean((2, 3))", "x.amax((2, 3))"),
    ],
    ("networks/sequence.py", "test_sequence.py"): [
        ("the future seen", "(0, 0, 0, 0, most, 0)", "(0, 0, 0, 0, 0, most)"),
        ("taps side by side", "range(0, most + 1, self.every)", "range(self.taps)"),
    ],
    ("networks/network.py", "test_vgg.py test_parity.py test_normalize.py test_network_config.py -k 'not float32'"): [
        ("first answer, not last", "logits[-1]", "logits[0]"),
        ("weights too small", "gain=2", "gain=1"),
        ("deviation multiplied", "self.mean.to(wide)) / self.std", "self.mean.to(wide)) * self.std"),
        ("values of the constructor described", "if not values:\n            return getattr(self._given, name)", "if True:\n            return getattr(self._given, name)"),
        ("bytes let in", "if not x.is_floating_point()", "if False"),
    ],
    ("data/events/files/codec.py", "test_events_codec.py"): [
        ("ON and OFF exchanged", "(~low & np.uint16(1))", "(low & np.uint16(1))"),
        ("upside down", "y = last - (low", "y = (low"),
        ("the clock starts again", "np.cumsum(turns) << bits", "np.cumsum(turns) << bits - 1"),
        ("seven bits of time lost", "(high & 0x7F) << 16", "(high & 0x7E) << 16"),
    ],
    ("data/events/clock.py", "test_events_clock.py"): [
        ("halves put into one another", "starts += (part[clean, 0] + 1).tolist()", "pass"),
        ("stray times kept", "if len(_falls(t)) <= len(t) // 4:", "if False:"),
        ("a leap is a silence", "if few or faults", "if 0 * few or 0 * faults"),
    ],
    ("data/events/sensor.py", "test_events_files.py test_events_eventfolder.py test_recordings.py"): [
        ("any digit is a make", "if make != capitals and not make[:1].isdigit():", "if make != capitals:"),
        ("a stray event stretches", "return side > FAR * usual", "return False"),
    ],
    ("data/events/recording.py", "test_events_files.py"): [
        ("dropped, not counted", 'skipped["outside"] = number', "pass"),
        ("columns from below zero", "(x >= 0) & (x < width)", "(x < width)"),
    ],
    ("data/events/files/aedat4_worker.py", "test_events_aedat4.py"): [
        ("waits for ever", "timer.start()", "pass"),
        ("a dead process is kept", "if worker.usable:\n            return worker", "if worker:\n            return worker"),
    ],
    ("data/events/files/aedat2.py", "test_events_files.py test_events_readers.py"): [
        ("triggers taken for pixels", "address, t = address[pixel], t[pixel]", "pass"),
        ("half a record is silence", "if over := (size - start) % RECORD", "if over := 0 * (size - start) % RECORD"),
    ],
    ("data/events/files/aedat3.py", "test_events_files.py test_events_readers.py"): [
        ("overflows of the clock forgotten", "<< CLOCK_BITS", "* 0 << CLOCK_BITS"),
        ("invalid events kept", "kept = np.flatnonzero(valid)", "kept = np.arange(len(valid))"),
    ],
    ("data/events/frames.py", "test_events_frames.py"): [
        ("a count runs over", "np.minimum(counts, FULL, out=counts)", "pass"),
        ("the last event in no frame", "first, last + 1)", "first, last)"),
        ("a border on one side", "(size - side) // 2", "(size - side)"),
        ("more events in the last frames", "counts[:more] += 1", "counts[len(counts) - more :] += 1"),
    ],
    ("data/events/recording.py", "test_recordings.py test_events_eventfolder.py"): [
        ("a window that is not full", "number[number < count]", "number"),
        ("half a window too many", "+ 1) // length_us", "+ length_us) // length_us"),
    ],
    ("data/events/windows.py", "test_events_eventfolder.py"): [
        ("windows from time 0", "range(first, first + count", "range(0, count"),
    ],
    ("data/single_file.py", "test_recordings.py"): [
        ("rows and columns as they come", 'if name == "cifar10dvs":', "if not name:"),
        ("windows from the camera's start", "int(events.t[0]) + number", "number"),
        ("microseconds for milliseconds", "Part(frames, from_first, note)", "Part(frames, span, note)"),
    ],
    ("data/events/saccade.py", "test_events_saccade.py"): [
        ("one event however far", "level[pixel] += sign * owed * GRAINS", "level[pixel] += sign * GRAINS"),
        ("polarity turned", "(sign[each] > 0)", "(sign[each] < 0)"),
    ],
    ("data/splits.py", "test_data_splits.py"): [
        ("test and training exchanged", "np.flatnonzero(~tests), np.flatnonzero(tests)", "np.flatnonzero(tests), np.flatnonzero(~tests)"),
        ("seed ignored", "RandomState(seed)", "RandomState(0)"),
        ("not class by class", "np.flatnonzero(labels == label)", "np.arange(len(labels))"),
    ],
    ("data/cache/__init__.py", "test_data_cache.py"): [
        ("the key without its options", '"key": dict(key), "arrays"', '"key": sorted(key), "arrays"'),
        ("a change that verify misses", "!= wanted", "is None"),
    ],
    ("data/cache/building.py", "test_data_cache.py test_data_cache_processes.py"): [
        ("a cut journal is trusted", "noted is None or noted != self._on_disk(first, last)", "noted is None"),
    ],
    ("data/cache/arrays.py", "test_data_cache.py"): [
        ("rows of one chunk over another's", "offset + first * (rows.nbytes // len(rows))", "offset"),
    ],
    ("data/geometry.py", "test_geometry.py test_pictures.py"): [
        ("a taller half above", "(self.image_size - height) // 2", "(self.image_size - height + 1) // 2"),
        ("old digits scaled", "min(NATIVE.get(dataset, image_size), image_size)", "image_size"),
    ],
    ("data/single_file.py", "test_pictures.py"): [
        ("all of the square filled", "geometry.inner, white", "(geometry.image_size,) * 2, white"),
        ("white forgotten", "white=geometry.white)", "white=0)"),
    ],
    ("data/images/levels.py", "test_data_deep.py"): [
        ("bright values clipped", "low < 0 or high > white", "low < 0"),
        ("negative values wrap", "low < 0 or high > white", "high > white"),
        ("white is not 255", "// (white + 1)\n", "// (white + 2)\n"),
    ],
    ("data/images/deep.py", "test_data_deep.py"): [
        ("0 is black even where it is white", "if inverted:", "if not white:"),
        ("12 bits taken for 16", "own = (1 << bits) - 1 if bits <= 16 else 0", "own = MOST"),
        ("bytes in the other order", '{"RGB;16B": "RGB;16L", ', '{"RGB;16B": "RGB;16B", '),
        ("signed bytes taken for bytes", "SIGNED in tags", "None in tags"),
    ],
    ("data/images/file.py", "test_pictures.py test_data_decode.py test_predict.py"): [
        ("TIFF turned twice", "return int(tags.get(TIFF_WIDTH, width)), int(tags.get(TIFF_HEIGHT, height))", "return width, height"),
        ("ground of the ink's colour", '"black" if 2 * light', '"white" if 2 * light'),
    ],
    ("data/folders.py", "test_pictures.py test_data_decode.py"): [
        ("pipes waited for", "if path.exists() and not path.is_file() and not path.is_dir():", "if False:"),
    ],
    ("data/npz_archive.py", "test_data_npz_archive.py"): [
        ("headers believed", "if found.length + found.nbytes != info.file_size:", "if False:"),
        ("bombs unpacked", "if size > LARGE and", "if False and"),
        ("a name twice", "if name in members:", "if False:"),
        ("columns for rows", "values.reshape(header.shape[::-1]).transpose()", "values.reshape(header.shape)"),
    ],
    ("data/images/idx.py", "test_data_mnist.py"): [
        ("the first member is all", 'rest = unpacker.unused_data.lstrip(b"\\0")', 'rest = b""'),
        ("bombs unpacked", "unpacker.decompress(rest, room + 1)", "unpacker.decompress(rest)"),
    ],
    ("data/sets/mnist.py", "test_data_mnist.py"): [
        ("clothes in any files", "if all(one.known for one in read):", "if True:"),
        ("a cut archive before a whole file", "            continue\n", "            raise\n"),
    ],
    ("data/images/jpeg.py", "test_data_jpeg.py"): [
        ("only the height looked at", " and size in (0, width)", ""),
        ("photos lie on their side", "*range(0xE2, 0xF0)", "*range(0xE1, 0xF0)"),
        ("grey of colours by the decoder", 'in ((1,) if mode == "L" else (1, 3))', "in (1, 3)"),
    ],
    ("data/images/cached.py", "test_data_decode.py test_data_imagefolder.py"): [
        ("squares overflow", "np.square(block, dtype=np.uint16)", "np.square(block)"),
    ],
    ("training/augment/events.py", "test_augment_events.py"): [
        ("pixels come round again", "inside = (y >= 0)", "inside = (y >= -height)"),
        ("labels mix by volume", "torch.where(total > 0, there / total, volume)", "volume"),
        ("every mix with itself", "uniform((len(frames),), frames, generator).argsort()", "torch.arange(len(frames))"),
    ],
    ("networks/twin.py", "test_network_config.py"): [
        ("attributes not compared", "and not _equal(", "and False and not _equal("),
        ("another method passes", "if hasattr(kind, name) and", "if False and"),
    ],
    ("networks/checkpoint.py", "test_network_config.py test_checkpoint.py"): [
        ("shapes believed", "if shapes[name] != shape:", "if False:"),
        ("NaN saved", "if (name := first_nonfinite(tensors)) is not None:\n        raise ValueError(\n            f\"{name}", "if False:\n        raise ValueError(\n            f\"{tensors}"),
        ("infinities cancel", "value.sum(dtype=torch.float32).isfinite()", "not value.sum(dtype=torch.float32).isinf()"),
    ],
    ("networks/running_statistics.py", "test_running_statistics.py"): [
        ("the last batch counts alone", "norm.momentum = 1 / count", "norm.momentum = 1.0"),
        ("failures leave traces", "buffer.copy_(values)", "buffer.copy_(buffer)"),
    ],
    ("machine/files.py", "test_files.py"): [
        ("renamed before it is on the disk", "                    flush(self.temporary)\n", ""),
        ("what is being written goes", "return not _runs(process)", "return True"),
    ],
    ("machine/interrupt.py", "test_interrupt.py -k asked_for"): [
        ("every signal is answered", "for name in names if hasattr", "for name in NAMES if hasattr"),
        ("a handler is kept", "            signal.signal(number, earlier)", "            pass"),
    ],
    ("machine/not_written.py", "test_files.py test_commands_errors.py -k 'fails_to_be_written or only_words'"): [
        ("a full disk in words unheard", ' or "No space left" in str(error)', ""),
        ("what was read counts as unwritten", "elif isinstance(error, NotWritten):", "elif True:"),
        ("another folder taken for the target", "if not _within(where, target):", "if False:"),
    ],
    ("layers/pool.py", "test_vgg.py -k pooling"): [
        ("half for a quarter", "grad / 4", "grad / 2"),
        ("odd edges forgotten", " if any(ctx.odd) else spread", " if False else spread"),
    ],
    ("machine/hardware.py", "test_hardware.py"): [
        ("emulation taken for hardware", '{"amx_bf16", "avx512_bf16"}', '{"amx_bf16", "avx512_vnni"}'),
        ("last processor read", '.split("\\n\\n")[0]', '.split("\\n\\n")[-1]'),
    ],
}  # fmt: skip


def main(words: list[str]) -> int:
    """Try every bug, print the table, count the survivors."""
    survivors, rows = 0, 0
    for (file, tests), bugs in BUGS.items():
        chosen = [b for b in bugs if not words or any(w in f"{file} {b[0]}" for w in words)]
        # a test that fails anyhow catches nothing
        if chosen and (failure := caught_by(file, tests)):
            raise SystemExit(f"{failure} fails on a package without a bug.")
        for name, old, new in chosen:
            verdict = caught_by(file, tests, old, new)
            survivors += verdict is None
            rows += 1
            print(f"{file:<26}{name:<35}{verdict or 'SURVIVED'}", flush=True)
    print(f"\n{rows - survivors} of {rows} bugs caught")
    return bool(survivors)


def caught_by(file: str, tests: str, old: str = "", new: str = "") -> str | None:
    """The first test that fails on a package with the bug, if one does."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bntt"
        shutil.copytree(PACKAGE, copy)
        source = (copy / file).read_text(encoding="utf-8")
        if old and source.count(old) != 1:
            raise SystemExit(f"{file} holds {old!r} {source.count(old)} times, not once.")
        (copy / file).write_text(
            source.replace(old, new) if old else source, encoding="utf-8"
        )
        if file in ("ops/cpu/kernels.py", "ops/cpu/bfloat16.py"):  # compiled anew
            shutil.rmtree(copy / "ops" / "cpu" / "__pycache__", ignore_errors=True)
        return first_failure(folder, tests)


def first_failure(folder: str, tests: str) -> str | None:
    """Run the tests against the package in ``folder``."""
    words = [
        str(ROOT / "tests" / w) if w.endswith(".py") else w for w in shlex.split(tests)
    ]
    options = ["-x", "-q", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of hypothesis, above
    command = [sys.executable, "-c", RUNNER, *options, *words]
    environment = os.environ | {"PYTHONPATH": folder, "CI": "true", "NUMBA_CACHE_DIR": ""}
    try:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if result.returncode == 0:
        return None
    failed = re.search(r"^FAILED tests/([^\s[]+)", result.stdout, re.MULTILINE)
    if result.returncode != 1 or failed is None:
        raise SystemExit(
            f"pytest did not get as far as a test:\n{result.stdout}{result.stderr}"
        )
    return failed[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
