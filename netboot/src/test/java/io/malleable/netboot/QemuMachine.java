package io.malleable.netboot;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A diskless machine with its firmware on the serial line; dies with {@link #close()}. */
final class QemuMachine implements AutoCloseable {
  private static final Path OVMF = Path.of("/usr/share/OVMF");

  private final Process process;
  private final Path console;

  private QemuMachine(Process process, Path console) {
    this.process = process;
    this.console = console;
  }

  /**
   * Powers a machine on.
   *
   * @param netdev QEMU's {@code -netdev} value with {@code id=n0}
   * @param deviceOptions appended to the network card: {@code ,romfile=} for the firmware's own
   *     network boot, nothing for iPXE's
   */
  static QemuMachine start(
      Path directory,
      Firmware firmware,
      MacAddress mac,
      String netdev,
      String deviceOptions,
      String... extra)
      throws IOException {
    Path console = directory.resolve("console-" + mac.hyphenated());
    // The option ROM of newer builds of iPXE brings UEFI no network boot; the program does.
    boolean program = firmware == Firmware.UEFI && deviceOptions.isEmpty();
    String card = "virtio-net-pci,netdev=n0,mac=" + mac + ",bootindex=1";
    List<String> command =
        new ArrayList<>(
            List.of(
                RequiredProgram.path("qemu-system-x86_64", "qemu-system-x86").toString(),
                "-accel",
                "tcg,thread=multi",
                "-m",
                "256",
                "-nodefaults",
                "-display",
                "none",
                "-no-user-config",
                "-monitor",
                "none",
                "-machine",
                firmware == Firmware.UEFI ? "q35" : "pc,graphics=off",
                "-serial",
                "file:" + console,
                "-netdev",
                netdev,
                "-device",
                card + (program ? ",romfile=" : deviceOptions)));
    if (firmware == Firmware.UEFI) {
      Path variables = directory.resolve("vars-" + mac.hyphenated());
      Files.copy(
          RequiredProgram.file(OVMF.resolve("OVMF_VARS_4M.fd"), "ovmf"),
          variables,
          StandardCopyOption.REPLACE_EXISTING);
      // The network drivers of newer builds of OVMF do not start without a source of randomness.
      command.addAll(List.of("-device", "virtio-rng-pci"));
      command.addAll(
          List.of(
              "-drive", "if=pflash,format=raw,readonly=on,file=" + OVMF.resolve("OVMF_CODE_4M.fd"),
              "-drive", "if=pflash,format=raw,file=" + variables));
    }
    if (program) {
      Path ipxe = RequiredProgram.file(Path.of("/usr/lib/ipxe/ipxe.efi"), "ipxe");
      command.addAll(List.of("-kernel", ipxe.toString()));
    }
    command.addAll(List.of(extra));
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("qemu-" + mac.hyphenated() + ".log").toFile())
            .start();
    return new QemuMachine(process, console);
  }

  /** What the machine wrote on its serial line so far. */
  String console() throws IOException {
    return Files.exists(console)
        ? new String(Files.readAllBytes(console), java.nio.charset.StandardCharsets.ISO_8859_1)
        : "";
  }

  boolean isAlive() {
    return process.isAlive();
  }

  @Override
  public void close() throws IOException {
    process.destroyForcibly();
    try {
      if (!process.waitFor(30, TimeUnit.SECONDS)) {
        throw new IOException("QEMU did not end: " + process.pid());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
