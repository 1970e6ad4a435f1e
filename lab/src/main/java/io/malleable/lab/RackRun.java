package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.cli.CommandFailure;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/** {@code m2 lab up --rack}: a rack that runs as long as its command. */
record RackRun(ApiClient api, PrintWriter out) {
  /**
   * What to plug in.
   *
   * @param firmware {@code bios}, {@code uefi} or {@code uefi-http}; {@code both} is the first two
   *     in turn, {@code all} the three
   * @param bmc {@code ipmi}, {@code redfish}, or {@code both} in turn
   */
  record Plan(int servers, String firmware, int memoryMiB, String bmc) {
    Rack.Slot slot(int number) {
      Rack.Start[] all = Rack.Start.values();
      Rack.Start starts =
          switch (firmware) {
            case "bios" -> Rack.Start.BIOS;
            case "uefi" -> Rack.Start.UEFI_PXE;
            case "uefi-http" -> Rack.Start.UEFI_HTTP;
            case "both" -> all[(number - 1) % 2];
            default -> all[(number - 1) % all.length];
          };
      Rack.BmcKind kind =
          switch (bmc) {
            case "ipmi" -> Rack.BmcKind.IPMI;
            case "redfish" -> Rack.BmcKind.REDFISH;
            // Only Redfish can ask for HTTP; behind IPMI the firmware's own setting decides.
            default ->
                number % 2 == 1 && starts != Rack.Start.UEFI_HTTP
                    ? Rack.BmcKind.IPMI
                    : Rack.BmcKind.REDFISH;
          };
      return new Rack.Slot(number, "rack-" + number, starts, kind, memoryMiB);
    }
  }

  /** Returns when the process is told to end, with everything switched off. */
  void untilInterrupted(Plan plan) {
    if (!RackSwitch.exists()) {
      throw new CommandFailure(
          "the segment of the rack is not there, so the server cannot answer DHCP on it",
          "Run m2 lab switch first, and start the server with the flags that it prints.");
    }
    JsonNode system = api.get("/v1/system");
    Path data = Path.of(system.path("dataDirectory").asText());
    CountDownLatch interrupted = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stopWhole(interrupted, stopped)));
    try (Rack rack = Rack.open(data.resolve("rack"), data.resolve("bmc-credentials"))) {
      for (int i = 1; i <= plan.servers(); i++) {
        Rack.Slot slot = plan.slot(i);
        rack.add(slot);
        Rack.register(api, slot);
        out.println("node " + slot.name() + " is plugged in; its BMC is " + slot.bmcAddress());
      }
      out.println("Boot one with: m2 node provision rack-1 --image IMAGE");
      out.println("The rack runs until it is interrupted.");
      out.flush();
      interrupted.await();
    } catch (IOException e) {
      throw new CommandFailure(
          "the rack cannot be built: " + e.getMessage(),
          "Run it as the user that runs the server, and only one at a time. Debian packages:"
              + " qemu-system-x86 ipxe-qemu ovmf ipxe iproute2 ipmitool openipmi",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      stopped.countDown();
    }
  }

  /** The signal ends the wait; the process stays until the rack is switched off. */
  private static void stopWhole(CountDownLatch interrupted, CountDownLatch stopped) {
    interrupted.countDown();
    try {
      stopped.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
