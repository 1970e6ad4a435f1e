package io.malleable.hardware;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** iPXE as a program of UEFI. */
final class UefiIpxe {
  /** Of Debian, Fedora and Arch. */
  private static final List<Path> PROGRAMS =
      List.of(
          Path.of("/usr/lib/ipxe/ipxe.efi"),
          Path.of("/usr/share/ipxe/ipxe-x86_64.efi"),
          Path.of("/usr/share/ipxe/x86_64/ipxe.efi"));

  private UefiIpxe() {}

  static Path program() throws PowerException {
    for (Path program : PROGRAMS) {
      if (Files.isReadable(program)) {
        return program;
      }
    }
    throw new PowerException(
        PowerException.Kind.CONFIGURATION,
        "there is no iPXE for virtual machines with UEFI on this host, such as "
            + PROGRAMS.getFirst(),
        "install the Debian package ipxe");
  }
}
