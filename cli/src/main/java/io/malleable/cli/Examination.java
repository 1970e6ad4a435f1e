package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** The checks of {@code m2 doctor}. They change nothing. */
final class Examination {
  private static final int WANTED_JAVA = 25;
  private static final long LITTLE_BYTES = 2L << 30;
  private static final int FULL_PERCENT = 80;

  /** A program or file that some feature needs. */
  private record Need(String what, String purpose, String debianPackage, List<String> anyOf) {}

  private static final List<Need> NEEDS =
      List.of(
          program("qemu-img", "image formats other than raw", "qemu-utils"),
          program("qemu-system-x86_64", "virtual machines (m2 lab)", "qemu-system-x86"),
          file(
              "iPXE boot ROM",
              "virtual machines (m2 lab)",
              "ipxe-qemu",
              "/usr/lib/ipxe/qemu/pxe-virtio.rom",
              "/usr/share/qemu/pxe-virtio.rom"),
          file(
              "iPXE for UEFI",
              "virtual machines with UEFI",
              "ipxe",
              "/usr/lib/ipxe/ipxe.efi",
              "/usr/share/ipxe/ipxe-x86_64.efi",
              "/usr/share/ipxe/x86_64/ipxe.efi"),
          file(
              "UEFI firmware",
              "virtual machines with UEFI",
              "ovmf",
              "/usr/share/OVMF/OVMF_CODE.fd",
              "/usr/share/OVMF/OVMF_CODE_4M.fd"),
          program("mke2fs", "building images", "e2fsprogs"),
          program("mcopy", "building images", "mtools"),
          program("grub-mkimage", "building images", "grub-common"),
          program("cpio", "building images", "cpio"),
          program("xz", "building images", "xz-utils"),
          program("zstd", "building images", "zstd"),
          program("ipmitool", "machines with an IPMI BMC", "ipmitool"));

  private final Terminal terminal;

  Examination(Terminal terminal) {
    this.terminal = terminal;
  }

  private static Need program(String name, String purpose, String debianPackage) {
    return new Need(name, purpose, debianPackage, List.of());
  }

  private static Need file(String what, String purpose, String debianPackage, String... anyOf) {
    return new Need(what, purpose, debianPackage, List.of(anyOf));
  }

  List<Finding> examine(Supplier<ApiClient> api) {
    List<Finding> findings = new ArrayList<>();
    findings.add(java());
    NEEDS.forEach(need -> findings.add(need(need)));
    server(api, findings);
    return findings;
  }

  private static Finding java() {
    int feature = Runtime.version().feature();
    String detail = Runtime.version() + " in " + System.getProperty("java.home", "?");
    return feature >= WANTED_JAVA
        ? Finding.ok("Java", detail)
        : new Finding(
            "Java",
            Finding.State.failed,
            detail,
            "Use a JDK " + WANTED_JAVA + ": set JAVA_HOME to it.");
  }

  private Finding need(Need need) {
    boolean there =
        need.anyOf().isEmpty()
            ? onPath(need.what())
            : need.anyOf().stream().anyMatch(f -> Files.isReadable(Path.of(f)));
    return there
        ? Finding.ok(need.what(), "for " + need.purpose())
        : new Finding(
            need.what(),
            Finding.State.warning,
            "missing; for " + need.purpose(),
            "Install the Debian package " + need.debianPackage() + ".");
  }

  private boolean onPath(String program) {
    String path = terminal.environment().getOrDefault("PATH", "") + ":/usr/sbin:/sbin";
    for (String directory : path.split(":", -1)) {
      if (!directory.isEmpty() && Files.isExecutable(Path.of(directory, program))) {
        return true;
      }
    }
    return false;
  }

  private static void server(Supplier<ApiClient> api, List<Finding> findings) {
    Endpoint endpoint = api.get().endpoint();
    try {
      JsonNode system = api.get().get("/v1/system");
      findings.add(
          Finding.ok("server", endpoint.url() + ", version " + Table.cell(system.path("version"))));
      findings.add(space(system));
      if (system.has("descriptors")) {
        findings.add(files(system.path("descriptors")));
      }
      if (system.has("capacity") && system.hasNonNull("storeFault")) {
        findings.add(
            new Finding(
                "store",
                Finding.State.warning,
                Table.cell(system.path("storeFault")),
                "See the server's log; what the store does not say is not shown."));
      }
      if (system.has("damaged")) {
        findings.add(
            new Finding(
                "volumes",
                Finding.State.warning,
                TroubleCount.damaged(system) + " cannot be used",
                TroubleCount.DAMAGE_REMEDY));
      }
      if (system.has("failed")) {
        findings.add(
            new Finding(
                "storage",
                Finding.State.failed,
                TroubleCount.failed(system) + " without writes, as the storage failed",
                TroubleCount.FAILURE_REMEDY));
      }
    } catch (ApiException e) {
      String hint = e.hint();
      findings.add(new Finding("server", Finding.State.failed, e.what(), hint == null ? "" : hint));
    } catch (CommandFailure e) {
      String hint = e.hint();
      findings.add(
          new Finding("server", Finding.State.warning, e.what(), hint == null ? "" : hint));
      if (endpoint.isThisMachine()) {
        findings.add(port("API", 8480, "--http"));
        findings.add(port("boot HTTP", 8481, "--boot-http"));
        findings.add(port("iSCSI", 3260, "--iscsi"));
      }
    }
  }

  private static Finding files(JsonNode descriptors) {
    long open = descriptors.path("open").asLong();
    long limit = descriptors.path("limit").asLong();
    String detail = open + " of " + limit + " in use by the server";
    if (100 * open > FULL_PERCENT * limit) {
      return new Finding(
          "open files",
          Finding.State.warning,
          detail,
          "See m2 status for whose connections they are, and raise the server's limit.");
    }
    return descriptors.has("shortage")
        ? new Finding(
            "open files", Finding.State.warning, detail, Table.cell(descriptors.path("shortage")))
        : Finding.ok("open files", detail);
  }

  private static Finding space(JsonNode system) {
    JsonNode capacity = system.path("capacity");
    if (capacity.isMissingNode()) {
      return new Finding(
          "space",
          Finding.State.failed,
          "the store does not say: " + Table.cell(system.path("storeFault")),
          "See the server's log; to scrub the store, stop the server and use: m2 doctor --verify");
    }
    long availableBytes = capacity.path("availableBytes").asLong();
    String detail = Sizes.format(availableBytes) + " free in the store";
    return availableBytes >= LITTLE_BYTES
        ? Finding.ok("space", detail)
        : new Finding(
            "space", Finding.State.warning, detail, "Delete disks and images, or add space.");
  }

  /** Whether a server could listen there. */
  private static Finding port(String what, int port, String option) {
    try (ServerSocket socket = new ServerSocket()) {
      socket.setReuseAddress(true);
      socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      return Finding.ok(what + " port", port + " is free");
    } catch (IOException e) {
      return new Finding(
          what + " port",
          Finding.State.warning,
          port + " is taken by another program",
          "Choose another with m2 serve " + option + " HOST:PORT.");
    }
  }
}
