package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An exposed disk through initiators that we did not write: qemu-io and libiscsi's tools. */
final class ExposedDiskTest {
  private static final int DISK_BYTES = 8 << 20;
  private static final int COMMANDS = 150;

  @TempDir private Path directory;

  @Test
  void dataEqualsAModelAfterRandomReadsAndWritesAndAKill() throws Exception {
    Path data = directory.resolve("data");
    Path file = TestServer.image(directory.resolve("base.raw"), DISK_BYTES >> 20);
    byte[] model = Files.readAllBytes(file);
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    String iscsiAddress;
    try (ServeProcess server = ServeProcess.start(data, Map.of());
        TestApi api = server.api()) {
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/disks", "{'name':'d','image':'base'}").expect(201);
      String url = url(api.post("/v1/disks/d/expose", "").expect(200).body());
      Programs.run(qemuIo(url, randomCommands(random, model)));
      assertContent(model, url, seed);
      api.post("/v1/snapshots", "{'name':'s','disk':'d'}").expect(201);
      Programs.run(qemuIo(url, randomCommands(random, model)));
      iscsiAddress = server.run().path("iscsi").asText();
      server.kill();
    }
    // Everything was flushed: qemu-io does it when it closes the disk.
    try (ServeProcess server = ServeProcess.start(data, Map.of(), "--iscsi", iscsiAddress);
        TestApi api = server.api()) {
      String url = url(api.get("/v1/disks/d").expect(200).body());
      assertContent(model, url, seed);
      assertEquals(0, server.stop());
    }
  }

  @Test
  void toolsOfLibiscsiSeeTheDiskAndAWrongSecretIsRefusedAndCounted() throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      api.post("/v1/disks", "{'name':'d','image':'base','sizeBytes':2097152}").expect(201);
      JsonNode disk = api.post("/v1/disks/d/expose", "").expect(200).body();
      String inquiry = Programs.run(List.of("iscsi-inq", url(disk)));
      assertTrue(inquiry.contains("M2"), inquiry);
      String capacity = Programs.run(List.of("iscsi-readcapacity16", url(disk)));
      assertTrue(capacity.contains("Total size:2097152"), capacity);
      String wrong =
          url(disk).replace(disk.path("iscsi").path("password").asText(), "x".repeat(24));
      assertNotEquals(0, Programs.status(List.of("iscsi-inq", wrong)));
      String metrics = api.get("/metrics").raw().body();
      assertTrue(metrics.contains("m2_iscsi_login_failures_total 1.0"), metrics);
      api.post("/v1/disks/d/withdraw", "").expect(200);
      assertNotEquals(0, Programs.status(List.of("iscsi-inq", url(disk))));
    }
  }

  private static String url(JsonNode disk) {
    JsonNode iscsi = disk.path("iscsi");
    String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
    return iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
  }

  private void assertContent(byte[] model, String url, long seed) throws Exception {
    Path copy = directory.resolve("copy.raw");
    Programs.run(List.of("qemu-img", "convert", "-f", "raw", "-O", "raw", url, copy.toString()));
    byte[] actual = Files.readAllBytes(copy);
    assertEquals(-1, Arrays.mismatch(model, actual), () -> "first difference; seed " + seed);
    assertArrayEquals(model, actual);
  }

  private static List<String> qemuIo(String url, List<String> commands) {
    List<String> command =
        new ArrayList<>(List.of("qemu-io", "-f", "raw", "-d", "unmap", "-t", "writeback"));
    for (String each : commands) {
      command.addAll(List.of("-c", each));
    }
    command.add(url);
    return command;
  }

  /** Commands for qemu-io, each applied to the model as well. */
  private static List<String> randomCommands(Random random, byte[] model) {
    List<String> commands = new ArrayList<>();
    for (int i = 0; i < COMMANDS; i++) {
      int sectors = 1 + random.nextInt(random.nextInt(10) == 0 ? 512 : 24);
      int offset = random.nextInt(DISK_BYTES / 512 - sectors) * 512;
      int length = sectors * 512;
      String range = offset + " " + length;
      switch (random.nextInt(6)) {
        case 0, 1, 2 -> {
          byte pattern = (byte) (1 + random.nextInt(255));
          Arrays.fill(model, offset, offset + length, pattern);
          commands.add("write -P " + Byte.toUnsignedInt(pattern) + " " + range);
          commands.add("read -P " + Byte.toUnsignedInt(pattern) + " " + range);
        }
        case 3 -> {
          Arrays.fill(model, offset, offset + length, (byte) 0);
          commands.add("write -z " + range);
        }
        case 4 -> {
          Arrays.fill(model, offset, offset + length, (byte) 0);
          commands.add("write -z -u " + range);
          commands.add("read -P 0 " + range);
        }
        default -> commands.add("flush");
      }
    }
    return commands;
  }
}
