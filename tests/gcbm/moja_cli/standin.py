"""A stand-in for moja.cli: reads its configuration, logs in its format, and fails as it fails.

``FLINT_STANDIN`` names the behaviour, ``FLINT_STANDIN_DB`` a database that a good run would write.
Log lines and exit codes are those of the public sources (FLINT e0f30215, moja.canada 9091baaa).
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path

PREFIX = "<2026-Nov-21 20:41:00.000000>"
VARIABLE_EMPTY = (
    "sqlquerytransform.cpp(172): Throw in function std::string moja::flint::SQLQueryTransform::formatVariableValues\n"
    "Dynamic exception type: boost::wrapexcept<moja::flint::VariableEmptyWhenValueExpectedException>\n"
    "std::exception::what: std::exception\n[moja::flint::tag_variablename*] = {}\n"
)


def log(text, severity="info"):
    print(f"{PREFIX} ({severity}) - {text}", file=sys.stderr, flush=True)


def units(level, total, processed, errors, place=""):
    log(
        f"  0: Stats level [{level}]: {place}Time(ms) [Total: {12:8}, Processed: {11:8}]: Units [Total: {total:8}, "
        f"Processed: {processed:8}, NotProcessed: {0:8}, Errors: {errors:8}, LU/second: {99:8}]"
    )


class Engine:
    def __init__(self, arguments):
        options = dict(zip(arguments[::2], arguments[1::2], strict=True))
        if "--config_file" not in options:
            print("flint cli version 1.0.0\n\nAllowed options:")
            sys.exit(0)
        self.config, self.providers = {}, {}
        for line in Path(options["--config_file"]).read_text().splitlines():
            key, _, name = line.partition("=")
            content = json.loads(Path(name).read_text(encoding="utf-8"))
            if key == "config_provider":
                self.providers |= content["Providers"]
                continue
            for section, entries in content.items():
                for entry, value in entries.items():
                    self.config.setdefault(section, {}).setdefault(entry, value)
        assert "Sinks.console" in Path(options["--logging_config"]).read_text()
        self.database = Path(self.config["Modules"]["CBMAggregatorSQLiteWriter"]["settings"]["databasename"])
        self.check_paths()
        self.pixels = int(os.environ.get("FLINT_STANDIN_PIXELS", "0"))
        self.blocks = 4

    def check_paths(self):
        """What the real program would stumble over."""
        assert "\\" not in str(self.database), self.database
        assert self.database.parent.is_dir(), "output folder missing"
        for provider in self.providers.values():
            paths = [layer["layer_path"] for layer in provider.get("layers", [])]
            for path in [*paths, *filter(None, [provider.get("path")])]:
                assert "\\" not in path, path
                assert Path(path).is_file(), path

    def simulate(self, errors=0, processed=None, lost_blocks=0):
        log("Config has files: 7")
        log(f"  0:Total Blocks queued for simulation: {self.blocks}")
        share = self.pixels // self.blocks
        done = self.pixels if processed is None else processed
        for block in range(self.blocks - lost_blocks):
            count = share if block else self.pixels - share * (self.blocks - 1)
            place = f"Record [{self.blocks - block:5} of {self.blocks:5}]: Index [12674, {block}]: "
            units("Block", 10000, count if done else 0, errors if block == 0 else 0, place)
        log("  0:Summary of processing for full run")
        units("Global", 10000 * self.blocks, done - errors if done else 0, errors)

    def write(self, change=None):
        log(f"Loading results into {self.database}")
        shutil.copyfile(os.environ["FLINT_STANDIN_DB"], self.database)
        if change:
            connection = sqlite3.connect(self.database)
            connection.executescript(change)
            connection.close()
        log("SQLite insert complete.")
        print(file=sys.stderr, flush=True)

    def pixels_in_error(self, error, lines=()):
        for text, severity in lines:
            if severity:
                log(text, severity)
            else:
                print(text, file=sys.stderr, flush=True)
        self.simulate(errors=self.pixels, processed=0)
        text = error.replace("'", "''")
        self.write(f"DELETE FROM Fluxes; INSERT INTO ErrorDimension VALUES (1, 'CBMGrowthModule', '{text}');")

    # Each behaviour of design/moja-cli.md.

    def good(self):
        self.simulate()
        self.write()

    def part_of_pixels(self):
        self.simulate(errors=3)
        self.write()

    def missing_raster(self):
        gdal = "ERROR 4: /data/layers/initial_age.tiff: No such file or directory"
        message = "error caught reading layer"
        self.pixels_in_error(message, [(gdal, None), ("RunId (1) - GDAL - exception (initial_age.tiff)", "error")])

    def missing_table(self):
        text = "[moja::datarepository::tag_sqlerror*] = no such table: turnover_parameter"
        self.pixels_in_error(f"providerrelationalsqlite.cpp(57): Throw in function\n{text}\n", [])

    def no_curve(self):
        self.pixels_in_error(VARIABLE_EMPTY.format("growth_curve_id"))

    def unknown_boundary(self):
        self.pixels_in_error(VARIABLE_EMPTY.format("spatial_unit_id"))

    def unknown_type(self):
        log("Missing DM association for dist type Wildfyre in SPU 42 - skipped", "fatal")
        self.good()

    def no_data(self):
        self.simulate(processed=0)
        log("No data to load.")

    def broken_json(self):
        log("JSON Exception", "fatal")
        sys.exit(1)

    def missing_config(self):
        print("File not found: variables.json", end="", file=sys.stderr)
        sys.exit(1)

    def missing_library(self):
        log("Library not found", "fatal")
        sys.exit(1)

    def missing_module(self):
        log("Module doesn't exist: CBMMossModule", "fatal")
        sys.exit(1)

    def missing_layer_json(self):
        log(
            "rasterreadergdal.cpp(72): Throw in function\nDynamic exception type: FileNotFoundException\n"
            "[moja::datarepository::tag_filename*] = /data/layers/tiled/initial_age.json",
            "fatal",
        )
        sys.exit(1)

    def bad_database(self):
        log("providerrelationalsqlite.cpp(57): Throw\n[tag_sqlerror*] = file is not a database", "fatal")
        sys.exit(1)

    def output_gone(self):
        self.simulate()
        shutil.rmtree(self.database.parent)
        log(f"Loading results into {self.database}")
        log("SQLite: unable to open database file", "fatal")
        sys.exit(1)

    def output_readonly(self):
        self.simulate()
        log(f"Loading results into {self.database}")
        log("SQLite: attempt to write a readonly database", "fatal")
        sys.exit(1)

    def insert_fails(self):
        self.simulate()
        self.write("DELETE FROM Pools;")
        log("SQLite exception: database or disk is full", "fatal")

    def crash(self):
        (self.database.parent / "Age").mkdir()
        os.kill(os.getpid(), signal.SIGSEGV)

    def out_of_memory(self):
        log("  0:Total Blocks queued for simulation: 4")
        os.kill(os.getpid(), signal.SIGKILL)

    def allocation_fails(self):
        log("Failed to allocate memory", "fatal")
        os.abort()

    def half_way(self):
        log("  0:Total Blocks queued for simulation: 4")
        units("Block", 10000, 10, 0)
        shutil.copyfile(os.environ["FLINT_STANDIN_DB"], self.database)
        os.kill(os.getpid(), signal.SIGTERM)

    def hangs(self):
        log("  0:Total Blocks queued for simulation: 4")
        time.sleep(600)

    def chatters(self):
        while True:
            log("Queuing block")
            time.sleep(0.05)

    def half_written(self):
        self.simulate()
        log(f"Loading results into {self.database}")
        data = Path(os.environ["FLINT_STANDIN_DB"]).read_bytes()
        self.database.write_bytes(data[: len(data) // 2])

    def lost_year(self):
        self.simulate()
        self.write("UPDATE DateDimension SET year = 1999 WHERE year = 2011;")

    def lost_area(self):
        self.simulate()
        self.write("UPDATE LocationDimension SET area = area * 0.9;")

    def double_area(self):
        self.simulate()
        self.write("UPDATE LocationDimension SET area = area * 2 WHERE dateDimId = 1;")

    def lost_block(self):
        self.simulate(lost_blocks=1)
        self.write()

    def no_insert(self):
        self.simulate()
        shutil.copyfile(os.environ["FLINT_STANDIN_DB"], self.database)

    def writes_elsewhere(self):
        self.simulate()
        log("SQLite insert complete.")

    def other_exit(self):
        log("something new", "fatal")
        sys.exit(7)

    def other_fatal(self):
        log("Last pass disturbance timeseries cannot end after simulation start year.", "fatal")
        self.good()

    def harmless_error(self):
        log("Run id in config requires a string value ('system_runid')", "error")
        self.good()

    def usage(self):
        print("flint cli version 1.0.0\n\nAllowed options:")


if __name__ == "__main__":
    getattr(Engine(sys.argv[1:]), os.environ.get("FLINT_STANDIN", "good"))()
