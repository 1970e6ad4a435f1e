package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Interop with QEMU's initiator and with the firmware of a QEMU machine, which is iPXE. */
class QemuTest {
  private static final int DISK_BYTES = 8 << 20;
  private static final int OPERATIONS = 200;
  private static final ChapCredentials SECRET = new ChapCredentials("node", "correctHorseBattery1");

  /**
   * Reads the drive's second sector by BIOS call and writes its first eight bytes to the serial
   * port.
   */
  private static final String BOOT_SECTOR =
      "31c0 8ed8 8ec0" // ax, ds, es = 0
          + "b80102 bb007e b90200 ba8000 cd13" // int 13h: one sector, CHS 0/0/2, to 0:7e00
          + "baf803 be007e b90800" // dx = COM1, si = 7e00, cx = 8
          + "ac ee e2fc" // lodsb; out dx, al; loop
          + "f4 ebfd"; // hlt; jmp to it

  @TempDir Path scratch;

  @ParameterizedTest
  @ValueSource(ints = {1, 16})
  void dataEqualsAModelAfterRandomReadsAndWrites(int concurrency) throws Exception {
    MemoryUnit unit = new MemoryUnit(DISK_BYTES).concurrency(concurrency);
    Access access = Access.of(TestServer.INITIATOR, SECRET);
    try (TestServer server = TestServer.serving(unit, access)) {
      String image =
          "json:{\"driver\":\"raw\",\"file\":{\"driver\":\"iscsi\",\"transport\":\"tcp\",\"portal\":\"127.0.0.1:"
              + server.address().getPort()
              + "\",\"target\":\""
              + TestServer.TARGET
              + "\",\"lun\":0,\"user\":\""
              + SECRET.user()
              + "\",\"password-secret\":\"s\",\"initiator-name\":\""
              + TestServer.INITIATOR
              + "\"}}";
      List<String> secret = List.of("--object", "secret,id=s,data=" + SECRET.secret());
      byte[] model = new byte[DISK_BYTES];
      List<String> command = new ArrayList<>(List.of("qemu-io"));
      command.addAll(secret);
      command.addAll(operations(model));
      command.add(image);
      Programs.Result result = Programs.run("qemu-block-extra", scratch, 300, command);
      assertEquals(0, result.exitCode(), result.output());
      assertTrue(!result.output().contains("failed"), result.output());
      Path copy = scratch.resolve("copy.raw");
      List<String> convert = new ArrayList<>(List.of("qemu-img", "convert"));
      convert.addAll(secret);
      convert.addAll(List.of("-O", "raw", image, copy.toString()));
      Programs.Result converted = Programs.run("qemu-utils", scratch, 300, convert);
      assertEquals(0, converted.exitCode(), converted.output());
      assertArrayEquals(model, Files.readAllBytes(copy));
    }
  }

  /** Commands for qemu-io, and their effect on the model. */
  private static List<String> operations(byte[] model) {
    Random random = new Random(20261122);
    List<String> commands = new ArrayList<>();
    for (int i = 0; i < OPERATIONS; i++) {
      int length = 512 * (1 + random.nextInt(random.nextBoolean() ? 16 : 2048));
      int offset = 512 * random.nextInt((DISK_BYTES - length) / 512);
      int pattern = 1 + random.nextInt(255);
      String range = offset + " " + length;
      commands.add("-c");
      switch (random.nextInt(8)) {
        case 0 -> {
          commands.add("write -z -u " + range);
          Arrays.fill(model, offset, offset + length, (byte) 0);
        }
        case 1 -> {
          commands.add("write -z " + range);
          Arrays.fill(model, offset, offset + length, (byte) 0);
        }
        case 2 -> commands.add("flush");
        case 3 -> commands.add("read " + range);
        case 4 -> {
          commands.add("write -f -P " + pattern + " " + range);
          Arrays.fill(model, offset, offset + length, (byte) pattern);
        }
        default -> {
          commands.add("write -P " + pattern + " " + range);
          Arrays.fill(model, offset, offset + length, (byte) pattern);
        }
      }
    }
    return commands;
  }

  @Test
  void firmwareBootsFromADriveThatWantsItsSecret() throws Exception {
    MemoryUnit unit = new MemoryUnit(DISK_BYTES);
    byte[] code = HexFormat.of().parseHex(BOOT_SECTOR.replace(" ", ""));
    ByteBuffer sectors = ByteBuffer.allocate(1024).put(0, code);
    sectors.putShort(510, (short) 0x55aa);
    sectors.put(512, "BOOT-OK\n".getBytes(StandardCharsets.US_ASCII));
    unit.write(0, sectors);
    Access access = Access.of(TestServer.INITIATOR, SECRET);
    Recorder recorder = new Recorder();
    List<TargetDefinition> targets =
        List.of(new TargetDefinition(TestServer.TARGET, Map.of(0, unit), access));
    try (TestServer server =
        TestServer.serving(targets, ReservationStore.none(), recorder, UnaryOperator.identity())) {
      writeBootScript(server.address().getPort());
      Path serial = scratch.resolve("serial.txt");
      Process machine = start(serial);
      try {
        assertEquals("login " + TestServer.INITIATOR, recorder.next());
        assertEquals("first read " + TestServer.INITIATOR, recorder.next());
        awaitText(serial, machine);
      } finally {
        machine.destroyForcibly().waitFor(30, TimeUnit.SECONDS);
      }
    }
  }

  private void writeBootScript(int port) throws IOException {
    String script =
        """
        #!ipxe
        set initiator-iqn %s
        set username %s
        set password %s
        sanboot --drive 0x80 iscsi:10.0.2.2::%d:0:%s
        """
            .formatted(
                TestServer.INITIATOR, SECRET.user(), SECRET.secret(), port, TestServer.TARGET);
    Files.writeString(Files.createDirectory(scratch.resolve("tftp")).resolve("boot"), script);
  }

  private Process start(Path serial) throws IOException {
    String network = "user,id=n,ipv4=on,ipv6=on,bootfile=boot,tftp=" + scratch.resolve("tftp");
    try {
      return new ProcessBuilder(
              "qemu-system-x86_64",
              "-accel",
              "tcg",
              "-m",
              "64",
              "-display",
              "none",
              "-nodefaults",
              "-serial",
              "file:" + serial,
              "-netdev",
              network,
              "-device",
              "virtio-net-pci,netdev=n",
              "-boot",
              "n")
          .redirectErrorStream(true)
          .redirectOutput(scratch.resolve("qemu.txt").toFile())
          .start();
    } catch (IOException e) {
      throw new IOException("install the Debian packages qemu-system-x86 and ipxe-qemu", e);
    }
  }

  private static void awaitText(Path serial, Process machine) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(5);
    while (!Files.readString(serial, StandardCharsets.ISO_8859_1).contains("BOOT-OK")) {
      assertTrue(System.nanoTime() < deadline, "the boot sector never spoke");
      assertTrue(!machine.waitFor(100, TimeUnit.MILLISECONDS), "the machine stopped by itself");
    }
  }
}
