package io.malleable.hardware;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/** OVMF: the code that all UEFI machines share and the variable store of which each has a copy. */
final class UefiVariables {
  private static final String FILE_NAME = "uefi-vars.fd";

  private record Build(Path code, Path variables) {}

  /** Debian, Fedora and Arch keep them in different places; code and variables must match. */
  private static final List<Build> BUILDS =
      List.of(
          new Build(
              Path.of("/usr/share/OVMF/OVMF_CODE_4M.fd"),
              Path.of("/usr/share/OVMF/OVMF_VARS_4M.fd")),
          new Build(
              Path.of("/usr/share/edk2/ovmf/OVMF_CODE.fd"),
              Path.of("/usr/share/edk2/ovmf/OVMF_VARS.fd")),
          new Build(
              Path.of("/usr/share/edk2/x64/OVMF_CODE.4m.fd"),
              Path.of("/usr/share/edk2/x64/OVMF_VARS.4m.fd")));

  private UefiVariables() {}

  static Path code() throws PowerException {
    return installed().code();
  }

  /** Copies the empty store into the machine's directory unless it has one already. */
  static Path prepare(Path machineDirectory) throws IOException {
    Path own = machineDirectory.resolve(FILE_NAME);
    if (!Files.exists(own)) {
      Path fresh = Files.createTempFile(machineDirectory, FILE_NAME, ".new");
      try {
        Files.copy(installed().variables(), fresh, StandardCopyOption.REPLACE_EXISTING);
        Files.move(fresh, own, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(fresh);
      }
    }
    return own;
  }

  private static Build installed() throws PowerException {
    for (Build build : BUILDS) {
      if (Files.isReadable(build.code()) && Files.isReadable(build.variables())) {
        return build;
      }
    }
    throw new PowerException(
        PowerException.Kind.CONFIGURATION,
        "there is no UEFI firmware for virtual machines on this host",
        "install the Debian package ovmf");
  }
}
