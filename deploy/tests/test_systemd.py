"""Tests the units with systemd."""

import configparser
import pathlib
import re
import tempfile
import unittest

from support import DEPLOY, NAME, assert_succeeds, assert_takes_arguments, binary

UNITS = DEPLOY / "systemd"
DAEMON = UNITS / f"{NAME}.service"
TEXTFILE = UNITS / "cloudflare-origin-region-textfile.service"
# The maximum exposure of a unit, on the scale of systemd from 0 to 10.
MOST_EXPOSURE = 1.5


class Unit(configparser.RawConfigParser):
    """A unit file. If a key is repeated, the last value counts."""

    def __init__(self, path):
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.optionxform = str
        self.read(path)


class SystemdTest(unittest.TestCase):
    def test_systemd_finds_no_fault_with_the_units(self):
        with tempfile.TemporaryDirectory() as directory:
            copies = []
            for unit in sorted(UNITS.iterdir()):
                copy = pathlib.Path(directory) / unit.name
                # The program is not installed on the test machine.
                copy.write_text(unit.read_text().replace(f"ExecStart={NAME}", f"ExecStart={binary()}"))
                copies.append(copy)
            output = assert_succeeds(self, "systemd-analyze", "verify", "--man=no", *copies)
        self.assertEqual(output, "")

    def test_the_services_are_hardened(self):
        for service in (DAEMON, TEXTFILE):
            output = assert_succeeds(
                self, "systemd-analyze", "security", "--offline=true", "--no-pager", service
            )
            exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)
            self.assertLessEqual(float(exposure[1]), MOST_EXPOSURE, output)

    def test_the_exporter_knows_the_arguments(self):
        for service in (DAEMON, TEXTFILE):
            program, *arguments = Unit(service)["Service"]["ExecStart"].split()
            # systemd searches /usr/local/bin and /usr/bin.
            self.assertEqual(program, NAME)
            assert_takes_arguments(self, arguments)

    def test_the_token_is_the_credential_that_systemd_loads(self):
        for service in (DAEMON, TEXTFILE):
            settings = Unit(service)["Service"]
            credential = settings["LoadCredential"].split(":")[0]
            self.assertIn(
                f"\nEnvironment=CLOUDFLARE_API_TOKEN_FILE=%d/{credential}\n", service.read_text()
            )

    def test_the_storage_is_the_state_directory(self):
        settings = Unit(DAEMON)["Service"]
        self.assertEqual(settings["StateDirectory"], NAME)
        self.assertEqual(settings["StateDirectoryMode"], "0700")
        self.assertIn(
            f"\nEnvironment=ORIGIN_REGION_EXPORTER_STORAGE_PATH=%S/{NAME}\n", DAEMON.read_text()
        )

    def test_the_user_is_the_one_that_the_packages_create(self):
        user = Unit(DAEMON)["Service"]["User"]
        created = (DEPLOY / "packages" / "sysusers.conf").read_text()
        self.assertIn(f"\nu {user} ", created)

    def test_the_allocator_is_told_the_same_as_in_the_image(self):
        setting = "MALLOC_MMAP_THRESHOLD_=1048576"
        self.assertIn(f"\nEnvironment={setting}\n", DAEMON.read_text())
        self.assertIn(f"\nENV {setting}\n", (DEPLOY / "Dockerfile").read_text())

    def test_the_daemon_takes_its_socket_and_tells_that_it_lives(self):
        unit = Unit(DAEMON)
        self.assertIn("--web.systemd-socket", unit["Service"]["ExecStart"])
        self.assertEqual(unit["Unit"]["Requires"], f"{NAME}.socket")
        self.assertEqual(unit["Service"]["Type"], "notify")
        self.assertIn("WatchdogSec", unit["Service"])
        self.assertEqual(unit["Service"]["ExecReload"], "/bin/kill -HUP $MAINPID")
        self.assertEqual(Unit(UNITS / f"{NAME}.socket")["Socket"]["ListenStream"], "10955")


if __name__ == "__main__":
    unittest.main()
