package io.malleable.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.cli.StandInServer.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class M2CommandTest {
  private static final String NODE =
      """
      {"id":"11111111-1111-4111-8111-111111111111","name":"n1","project":"default","state":"provisioned",
       "createdAt":"2026-01-01T00:00:00.000Z","nics":[{"mac":"52:54:00:00:00:01"}],"power":"on","disk":"n1-disk",
       "firmware":"bios","arch":"x86_64","bmc":"qemu:n1","boot":3,
       "bootTimeline":[{"stage":"power-on","at":"2026-01-01T00:00:00.000Z"},
                       {"stage":"boot-script","at":"2026-01-01T00:00:05.500Z","detail":"bios"},
                       {"stage":"ready","at":"2026-01-01T00:00:16.000Z","readBytes":25165824}]}
      """;
  private static final String IMAGE =
      """
      {"id":"22222222-2222-4222-8222-222222222222","name":"tiny","project":"default","state":"ready","public":true,
       "createdAt":"2026-01-01T00:00:00.000Z","sizeBytes":134217728,"allocatedBytes":42991616}
      """;
  private static final String DISK =
      """
      {"id":"33333333-3333-4333-8333-333333333333","name":"d1","project":"default","state":"exposed",
       "createdAt":"2026-01-01T00:00:00.000Z","sizeBytes":21474836480,"allocatedBytes":0,"parent":"tiny",
       "iscsi":{"url":"iscsi://127.0.0.1:3260/iqn.2026-11.io.malleable:33333333/0","target":"iqn.2026-11.io.malleable:33333333",
                "portal":"127.0.0.1:3260","lun":0,"username":"user-of-d1","password":"secret-of-d1"}}
      """;

  private StandInServer server;

  @BeforeEach
  void start() throws IOException {
    server = new StandInServer();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private static String operation(String state, String rest) {
    return "{\"id\":\"op-1\",\"name\":\"node-provision n1\",\"kind\":\"node-provision\",\"state\":\"%s\",\"progress\":0.5,\"steps\":[]%s}"
        .formatted(state, rest);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "image import", "image export", "image show", "image rename", "image copy",
        "image delete", "image check", "disk create", "disk show", "disk expose",
        "disk withdraw", "disk resize", "disk flatten", "disk delete", "disk undelete",
        "snapshot show", "snapshot delete", "node set", "node show", "node release",
        "node power", "node console", "node explain", "node delete", "project create",
        "project show", "project delete", "operation show", "operation wait", "operation abort"
      })
  void aCommandWithoutItsArgumentsSaysWhichAreMissing(String command) {
    Outcome outcome = server.run(command);
    assertEquals(2, outcome.status(), outcome::toString);
    assertTrue(outcome.err().contains("Missing required parameter"), outcome.err());
    assertTrue(outcome.err().contains("m2 " + command + " --help"), outcome.err());
  }

  @Test
  void helpListsEveryNounAndEndsWell() {
    Outcome outcome = server.run("--help");
    assertEquals(0, outcome.status());
    for (String noun :
        List.of(
            "status",
            "image",
            "disk",
            "snapshot",
            "node",
            "project",
            "operation",
            "event",
            "doctor")) {
      assertTrue(outcome.out().contains("\n  " + noun + " "), noun);
    }
    assertFalse(outcome.out().contains("rehearse"));
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void helpOfANounListsItsVerbs() {
    Outcome outcome = server.run("node --help");
    assertEquals(0, outcome.status());
    for (String verb :
        List.of(
            "add",
            "list",
            "show",
            "provision",
            "release",
            "failover",
            "power",
            "console",
            "explain",
            "delete")) {
      assertTrue(outcome.out().contains("\n  " + verb + " "), verb);
    }
  }

  @Test
  void aNounAloneOrAnUnknownWordIsAUsageError() {
    assertEquals(2, server.run("node").status());
    assertEquals(2, server.run("node explode").status());
    assertEquals(2, server.run("nood list").status());
    assertTrue(server.run("nood list").err().contains("node"), "suggests the word that was meant");
    assertEquals(2, server.run("node list --colour").status());
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void anUnknownOutputFormatIsRefusedBeforeAnythingIsDone() {
    Outcome outcome = server.run("node delete n1 -o xml");
    assertEquals(2, outcome.status());
    assertTrue(
        outcome.err().contains("--output is \"xml\"; give one of table, json"), outcome.err());
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void callsCarryTheTokenAndTheProject() {
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[]}");
    assertEquals(0, server.run("node list --project blue").status());
    assertEquals("Bearer " + StandInServer.TOKEN, server.only().headers().get("authorization"));
    assertEquals("blue", server.only().headers().get("m2-project"));
  }

  @Test
  void aListIsFetchedPageByPageAndPrintedAsOneArray() throws IOException {
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[" + NODE + "],\"next\":\"a b\"}");
    server.on(
        "GET /v1/nodes?limit=1000&cursor=a%20b",
        200, "{\"items\":[" + NODE.replace("n1", "n2") + "]}");
    Outcome outcome = server.run("node list -o json");
    assertEquals(0, outcome.status());
    assertEquals(2, outcome.json().size());
    assertEquals("n2", outcome.json().path(1).path("name").asText());
  }

  @Test
  void aTableIsAlignedAndAnEmptyOneSaysWhatToDo() {
    server
        .on("GET /v1/nodes?limit=1000", 200, "{\"items\":[" + NODE + "]}")
        .on("GET /v1/nodes?limit=1000", 200, "{\"items\":[]}");
    String[] lines = server.run("node list").out().lines().toArray(String[]::new);
    assertEquals(lines[0].indexOf("POWER"), lines[1].indexOf("on "));
    assertTrue(server.run("node list").out().contains("m2 node add NAME --mac MAC"));
  }

  @Test
  void aNodeIsShownWithItsBootDrawn() {
    server.on("GET /v1/nodes/n1", 200, NODE);
    String out = server.run("node show n1").out();
    assertTrue(out.contains("disk        n1-disk"), out);
    assertTrue(out.contains("   5.500 s  boot-script"), out);
    assertTrue(out.contains("24 MiB read"), out);
  }

  @Test
  void aNodeThatMustRebootSaysSoInTheListAndWhyWhenItIsShown() {
    String held =
        NODE.replace(
            "\"power\":\"on\"",
            "\"power\":\"on\",\"afterHostCrash\":\"reboot\",\"reboot\":"
                + "{\"reason\":\"The host went down.\",\"since\":\"2026-01-01T00:01:00.000Z\"}");
    server
        .on("GET /v1/nodes?limit=1000", 200, "{\"items\":[" + held + "]}")
        .on("GET /v1/nodes/n1", 200, held);
    assertTrue(server.run("node list").out().contains("provisioned, must reboot"));
    String out = server.run("node show n1").out();
    assertTrue(
        out.contains(
            "reboot      needed since 2026-01-01T00:01:00.000Z: The host went down. See: m2 node"
                + " explain n1"),
        out);
    assertTrue(out.contains("host crash  reboot"), out);
  }

  @Test
  void aWriteCacheIsAskedForOnlyWhenItIsWanted() throws IOException {
    server.on("POST /v1/disks/d1/expose", 200, DISK);
    assertEquals(0, server.run("disk expose d1 --write-cache").status());
    assertTrue(
        server.requests().getLast().body().contains("\"writeCache\":true"),
        server.requests()::toString);
    server.run("disk expose d1");
    assertFalse(
        server.requests().getLast().body().contains("writeCache"), server.requests()::toString);
  }

  @Test
  void addingANodeSendsWhatWasGivenAndNothingElse() throws IOException {
    server.on("POST /v1/nodes", 201, NODE);
    assertEquals(
        0,
        server
            .run("node add n1 --mac 52:54:00:00:00:01 --mac 52:54:00:00:00:02 --firmware uefi")
            .status());
    assertEquals(
        "{\"name\":\"n1\",\"nics\":[{\"mac\":\"52:54:00:00:00:01\"},{\"mac\":\"52:54:00:00:00:02\"}],\"firmware\":\"uefi\"}",
        server.only().json().toString());
  }

  @Test
  void provisionWaitsForTheOperationAndShowsTheBoot() throws IOException {
    server.on("POST /v1/nodes/n1/provision", 202, operation("running", ""));
    server.on("GET /v1/operations/op-1?wait=30", 200, operation("running", ""));
    server.on("GET /v1/operations/op-1?wait=30", 200, operation("succeeded", ""));
    server.on("GET /v1/nodes/n1", 200, NODE);
    Outcome outcome = server.run("node provision n1 --image tiny");
    assertEquals(0, outcome.status(), outcome.err());
    assertEquals("{\"image\":\"tiny\"}", server.requests().getFirst().json().toString());
    assertTrue(
        outcome.out().contains("node n1 runs from disk n1-disk, up after 16.0 s"), outcome.out());
  }

  @Test
  void publicKeysAreReadFromFilesAndPrivateOnesNeverSent(@TempDir Path directory)
      throws IOException {
    Path file = Files.writeString(directory.resolve("id.pub"), "# mine\n\nssh-ed25519 AAAA a@b\n");
    Path other = Files.writeString(directory.resolve("other.pub"), "ssh-rsa BBBB\n");
    server.on("POST /v1/nodes/n1/provision", 202, operation("running", ""));
    String words = "node provision n1 --image tiny --no-wait --ssh-key ";
    assertEquals(0, server.run(words + file + " --ssh-key " + other).status());
    assertEquals(
        "{\"image\":\"tiny\",\"sshKeys\":[\"ssh-ed25519 AAAA a@b\",\"ssh-rsa BBBB\"]}",
        server.only().json().toString());
    Path secret =
        Files.writeString(directory.resolve("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n");
    Outcome refused = server.run(words + secret);
    assertEquals(1, refused.status());
    assertTrue(refused.err().contains("private key"), refused.err());
    assertTrue(server.run(words + directory.resolve("none")).err().contains("cannot be read"));
    assertEquals(1, server.requests().size());
  }

  @Test
  void settingANodeSendsOnlyWhatIsGiven() throws IOException {
    server.on("PATCH /v1/nodes/n1", 200, NODE);
    assertEquals(0, server.run("node set n1 --firmware uefi --mac 52:54:00:00:00:09").status());
    assertEquals(
        "{\"nics\":[{\"mac\":\"52:54:00:00:00:09\"}],\"firmware\":\"uefi\"}",
        server.only().json().toString());
    assertTrue(server.run("node set n1").err().contains("nothing to change"));
  }

  @Test
  void whatANodeHasCanBeTakenAwayAgain() throws IOException {
    server.on("PATCH /v1/nodes/n1", 200, NODE);
    assertEquals(0, server.run("node set n1 --address none --no-ssh-keys").status());
    assertEquals("{\"address\":null,\"sshKeys\":[]}", server.only().json().toString());
    Outcome both = server.run("node set n1 --no-ssh-keys --ssh-key key.pub");
    assertTrue(both.err().contains("exclude each other"), both.err());
  }

  @Test
  void withoutWaitingTheOperationIsPrinted() throws IOException {
    server.on("POST /v1/nodes/n1/provision", 202, operation("running", ""));
    assertEquals(
        "op-1",
        server.run("node provision n1 --disk d1 --no-wait -o json").json().path("id").asText());
    assertEquals(1, server.requests().size());
  }

  @Test
  void aFailedOperationSaysWhyAndWhatToDo() {
    server.on("POST /v1/nodes/n1/provision", 202, operation("running", ""));
    server.on(
        "GET /v1/operations/op-1?wait=30",
        200,
        operation(
            "failed",
            ",\"error\":{\"code\":\"BOOT_STALLED\",\"message\":\"no DHCP request came\",\"hint\":\"Plug in the cable.\"}"));
    Outcome outcome = server.run("node provision n1 --snapshot s1");
    assertEquals(1, outcome.status());
    assertEquals("", outcome.out());
    assertEquals(
        "m2: node-provision n1 failed: no DHCP request came [BOOT_STALLED]\n  Plug in the cable.\n",
        outcome.err());
  }

  @Test
  void anOperationThatIsNotOverInTimeGoesOn() {
    server.on("GET /v1/nodes/n1", 200, NODE);
    server.on("POST /v1/nodes/n1/release", 202, operation("running", ""));
    server.on("GET /v1/operations/op-1?wait=1", 200, operation("running", ""));
    Outcome outcome = server.run("node release n1 --timeout 1");
    // The stand-in answers at once, so the second passes while it is asked over and over.
    assertEquals(1, outcome.status());
    assertTrue(outcome.err().contains("it goes on in the server"), outcome.err());
  }

  @Test
  void aDriveMustBeNamedExactlyOnce() {
    assertEquals(2, server.run("node provision n1").status());
    Outcome both = server.run("node provision n1 --image a --disk b");
    assertEquals(2, both.status());
    assertTrue(both.err().contains("give only one of --image, --snapshot, --disk"), both.err());
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void aRefusalNamesFieldValueAndRemedy() {
    server.on(
        "POST /v1/nodes",
        409,
        """
        {"type":"about:blank","title":"Conflict","status":409,"code":"MAC_TAKEN","detail":"node n0 has this MAC",
         "field":"nics[0].mac","value":"52:54:00:00:00:01","hint":"Give another one."}
        """);
    Outcome outcome = server.run("node add n1 --mac 52:54:00:00:00:01");
    assertEquals(1, outcome.status());
    assertEquals(
        "m2: node n0 has this MAC [MAC_TAKEN, field nics[0].mac = \"52:54:00:00:00:01\"]\n  Give another one.\n",
        outcome.err());
  }

  @Test
  void aServerThatIsAwayIsNamedWithTheRemedy() throws IOException {
    String url = server.url();
    server.close();
    Outcome outcome = server.run("status");
    assertEquals(1, outcome.status());
    assertTrue(
        outcome
            .err()
            .startsWith("m2: no answer from the server at " + url + ": connection refused\n"),
        outcome.err());
    assertTrue(outcome.err().contains("m2 serve"), outcome.err());
    server = new StandInServer();
  }

  @Test
  void namesCannotLeaveTheirPlaceInThePath() {
    server.run("node show ../../v1/system?x=/");
    assertEquals("GET /v1/nodes/..%2F..%2Fv1%2Fsystem%3Fx%3D%2F", server.only().line());
    assertEquals(
        1, server.run(new Terminal(server.environment(), false, 80), "node", "show", "").status());
  }

  @Test
  void aServerOnThisMachineReadsTheImageItself(@TempDir Path directory) throws IOException {
    Path file = Files.writeString(directory.resolve("tiny.raw"), "boot");
    server
        .on("POST /v1/images", 202, operation("succeeded", ""))
        .on("GET /v1/images/tiny", 200, IMAGE);
    Outcome outcome = server.run("image import tiny " + file + " --format raw --public");
    assertEquals(0, outcome.status(), outcome.err());
    assertEquals(
        "{\"name\":\"tiny\",\"public\":true,\"format\":\"raw\",\"source\":{\"path\":\""
            + file
            + "\"}}",
        server.requests().getFirst().json().toString());
    assertTrue(outcome.out().contains("128 MiB, 41 MiB allocated"), outcome.out());
  }

  /** Of {@code 0123456789}, as sha256sum says. */
  private static final String SHA256_OF_DIGITS =
      "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

  /** Imports ten digits, of which the server has the first ones already. */
  private void uploadDigits(Path directory, int received) throws IOException {
    Path file = Files.writeString(directory.resolve("tiny.raw"), "0123456789");
    Map<String, String> offset = Map.of("Upload-Offset", Integer.toString(received));
    server.on("HEAD /v1/images/tiny/content", 204, "text/plain", offset, "");
    server.on(
        "PUT /v1/images/tiny/content?public=false&sha256=" + SHA256_OF_DIGITS,
        202,
        operation("succeeded", ""));
    server.on("GET /v1/images/tiny", 200, IMAGE);
    Outcome outcome = server.run("image import tiny " + file + " --upload");
    assertEquals(0, outcome.status(), outcome.err());
  }

  @Test
  void anUploadGoesOnWhereTheLastOneBrokeOff(@TempDir Path directory) throws IOException {
    uploadDigits(directory, 4);
    assertEquals("456789", server.requests().get(1).body());
    assertEquals("bytes 4-9/10", server.requests().get(1).headers().get("content-range"));
  }

  @Test
  void anUploadOfWhichOnlyTheAnswerWasLostIsNotSentAgain(@TempDir Path directory)
      throws IOException {
    uploadDigits(directory, 10);
    assertEquals("", server.requests().get(1).body());
    assertEquals("bytes */10", server.requests().get(1).headers().get("content-range"));
  }

  @Test
  void aStoreThatDoesNotAnswerLeavesTheServerToBeSeen() throws IOException {
    String system =
        "{\"version\":\"1\",\"uptimeSeconds\":5,\"addresses\":{},\"counts\":{},"
            + "\"storeFault\":\"the cluster is away\"}";
    server.on("GET /v1/system", 200, system);
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[]}");
    Outcome status = server.run("status");
    assertEquals(0, status.status(), status.err());
    assertTrue(status.out().contains("space       unknown: the cluster is away"), status.out());
    assertTrue(server.run("doctor").out().contains("the cluster is away"));
  }

  @Test
  void aStoreThatSaysOnlyHowFullItIsIsAWarningOfTheDoctor() throws IOException {
    String system =
        "{\"version\":\"1\",\"uptimeSeconds\":5,\"addresses\":{},\"counts\":{},"
            + "\"capacity\":{\"totalBytes\":99000000000,\"availableBytes\":88000000000},"
            + "\"damaged\":{\"images\":0,\"disks\":2,\"snapshots\":0},"
            + "\"storeFault\":\"no OSD answers\"}";
    server.on("GET /v1/system", 200, system);
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[]}");
    Outcome doctor = server.run("doctor");
    assertTrue(
        doctor.out().lines().anyMatch(l -> l.contains("store") && l.contains("no OSD answers")),
        doctor.out());
    assertTrue(doctor.out().contains("free in the store"), doctor.out());
    Outcome status = server.run("status");
    assertTrue(status.out().contains("2 disks cannot be used"), status.out());
  }

  @Test
  void aDiskThatTakesNoWritesIsShownWithTheReasonAndCounted() throws IOException {
    String fault =
        "\"fault\":{\"cause\":\"fsync: Input/output error\",\"since\":\"2026-01-01T00:00:00Z\"";
    String failed = DISK.replace("\"exposed\"", "\"failed\"").strip();
    String disk = failed.substring(0, failed.length() - 1) + "," + fault;
    server.on("GET /v1/disks?limit=1000", 200, "{\"items\":[" + disk + "}}]}");
    assertTrue(server.run("disk list").out().lines().anyMatch(l -> l.matches("d1 +failed .*")));
    server.on("GET /v1/disks/d1", 200, disk + "}}");
    String shown = server.run("disk show d1").out();
    assertTrue(
        shown.contains(
            "takes no writes since 2026-01-01T00:00:00Z: fsync: Input/output error; look at"),
        shown);
    server.on("GET /v1/disks/d2", 200, disk + ",\"recoveredPercent\":40}}");
    assertTrue(server.run("disk show d2").out().contains("recovering, 40% done"));
    server.on(
        "GET /v1/system",
        200,
        "{\"version\":\"1\",\"uptimeSeconds\":5,\"addresses\":{},\"counts\":{},"
            + "\"capacity\":{\"totalBytes\":99000000000,\"availableBytes\":88000000000},"
            + "\"failed\":{\"images\":0,\"disks\":1,\"snapshots\":0}}");
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[]}");
    String status = server.run("status").out();
    assertTrue(status.contains("failed      1 disk without writes; look at"), status);
    String doctor = server.run("doctor").out();
    assertTrue(
        doctor.lines().anyMatch(l -> l.contains("storage") && l.contains("1 disk without writes")),
        doctor);
  }

  @Test
  void whatWasLostWhenADiskWasWithdrawnIsAWarningBesideTheResult() throws IOException {
    String disk = DISK.strip().replaceFirst("}$", ",\"warning\":\"not flushed: EIO\"}");
    server.on("POST /v1/disks/d1/withdraw", 200, disk);
    Outcome at = server.run("disk withdraw d1");
    assertEquals("disk d1 is withdrawn", at.out().strip());
    assertEquals("warning: not flushed: EIO", at.err().strip());
    server.on(
        "POST /v1/nodes/n1/release",
        202,
        "{\"id\":\"o1\",\"name\":\"node-release n1\",\"state\":\"succeeded\","
            + "\"warning\":\"not flushed: EIO\"}");
    server.on("GET /v1/nodes/n1", 200, "{\"name\":\"n1\",\"state\":\"free\"}");
    assertTrue(server.run("node release n1").err().contains("warning: not flushed: EIO"));
  }

  @Test
  void anImageFileThatIsNotThereIsRefusedWithoutACall(@TempDir Path directory) {
    Outcome outcome = server.run("image import tiny " + directory.resolve("none.raw"));
    assertEquals(1, outcome.status());
    assertTrue(outcome.err().contains("none.raw does not exist"), outcome.err());
    assertTrue(server.run("image import tiny " + directory).err().contains("not a regular file"));
    assertTrue(server.requests().isEmpty());
  }

  @Test
  void theSecretOfAnExposedDiskIsOnlyInTheJson() throws IOException {
    server.on("POST /v1/disks/d1/expose", 200, DISK);
    Outcome table = server.run("disk expose d1");
    assertFalse(table.out().contains("secret-of-d1"));
    assertTrue(table.out().contains("url         iscsi://127.0.0.1:3260/"), table.out());
    assertEquals(
        "secret-of-d1",
        server.run("disk expose d1 -o json").json().path("iscsi").path("password").asText());
  }

  @Test
  void aDiskIsCreatedWithTheSizeThatWasGiven() throws IOException {
    server.on("POST /v1/disks", 201, DISK);
    assertEquals(0, server.run("disk create d1 --image tiny --size 20G").status());
    assertEquals(
        "{\"name\":\"d1\",\"image\":\"tiny\",\"sizeBytes\":21474836480}",
        server.only().json().toString());
    Outcome wrong = server.run("disk create d1 --image tiny --size 20X");
    assertEquals(1, wrong.status());
    assertTrue(wrong.err().contains("--size is \"20X\""), wrong.err());
    assertEquals(1, server.requests().size());
  }

  @Test
  void renamingAnImageIsAPatch() throws IOException {
    server.on("PATCH /v1/images/tiny", 200, IMAGE);
    assertEquals(0, server.run("image rename tiny small").status());
    assertEquals("{\"name\":\"small\"}", server.only().json().toString());
  }

  @Test
  void anImageIsSharedWithOneProjectOrWithAll() {
    server.on("PUT /v1/images/tiny/shares/b", 200, "{\"sharedWith\":[\"a\",\"b\"]}");
    server.on("DELETE /v1/images/tiny/shares/b", 200, "{\"sharedWith\":[]}");
    assertEquals("image tiny is shared with a, b\n", server.run("image share tiny --with b").out());
    assertEquals(
        "image tiny is shared with nobody\n", server.run("image unshare tiny --with b").out());
    assertEquals(2, server.run("image share tiny").status(), "nobody gets it by accident");
    assertEquals(2, server.run("image share tiny --public --with b").status());
    assertEquals(2, server.requests().size());
  }

  @Test
  void anImageOfAnotherProjectIsOneSegmentOfThePath() throws IOException {
    server.on("POST /v1/images/a%2Ftiny/copy", 201, "{\"name\":\"tiny\",\"project\":\"default\"}");
    Outcome outcome = server.run("image copy a/tiny");
    assertEquals("image a/tiny is copied to default/tiny, which depends on it\n", outcome.out());
    assertEquals("{\"mode\":\"linked\"}", server.only().json().toString());
  }

  @Test
  void deletingADiskSaysHowToGetItBack() {
    server.on("DELETE /v1/disks/d1", 204, "");
    Outcome outcome = server.run("disk delete d1");
    assertEquals(0, outcome.status(), outcome.err());
    assertTrue(outcome.out().contains("m2 disk undelete d1"));
  }

  @Test
  void aConsoleIsCopiedAsItComes() {
    server.on(
        "GET /v1/nodes/n1/console?follow=false&tailBytes=65536",
        200,
        "text/plain",
        Map.of(),
        "GRUB\r\nM2 READY boot=1\r\n");
    assertEquals("GRUB\r\nM2 READY boot=1\r\n", server.run("node console n1").out());
  }

  @Test
  void followedEventsArePrintedOneByOne() {
    String stream =
        """
        id: 1
        event: node.provisioned
        data: {"at":"2026-01-01T00:00:00.000Z","kind":"node.provisioned",
        data: "message":"n1 boots"}

        : beat

        """;
    server.on("GET /v1/events", 200, "text/event-stream", Map.of(), stream);
    assertEquals(
        "2026-01-01T00:00:00.000Z  node.provisioned  n1 boots\n",
        server.run("event list --follow").out());
  }

  @Test
  void controlCharactersOfOthersDoNotReachTheTerminal() {
    server.on(
        "GET /v1/nodes?limit=1000",
        200,
        "{\"items\":[" + NODE.replace("n1-disk", "\\u001b[2J") + "]}");
    assertFalse(server.run("node list").out().contains("\u001b"));
  }

  @Test
  void statusShowsServerSpaceAndMachines() {
    server.on(
        "GET /v1/system",
        200,
        """
        {"version":"1","startedAt":"2026-01-01T00:00:00.000Z","uptimeSeconds":7200,"dataDirectory":"/d","labDirectory":"/d/lab",
         "addresses":{"api":"http://127.0.0.1:1","boot":"http://0.0.0.0:2","iscsi":"0.0.0.0:3"},
         "capacity":{"totalBytes":107374182400,"availableBytes":53687091200,"allocatedBytes":1073741824,
          "sharedBytes":536870912,"provisionedBytes":1099511627776},
         "counts":{"projects":1,"images":2,"disks":3,"snapshots":0,"nodes":1,"operations":0,"sessions":1}}
        """);
    server.on("GET /v1/nodes?limit=1000", 200, "{\"items\":[" + NODE + "]}");
    String out = server.run("status").out();
    assertTrue(out.contains("up 2h"), out);
    assertTrue(out.contains("[##########..........] 50 GiB of 100 GiB free\n"), out);
    assertTrue(out.contains("1 GiB allocated, 512 MiB of it shared; disks may grow to 1 TiB"), out);
    assertTrue(out.contains("2 images, 3 disks, 0 snapshots, 1 node in 1 project"), out);
    assertTrue(out.contains("52:54:00:00:00:01"), out);
  }

  @Test
  void aProgressLineIsDrawnOnlyForSomebodyWhoWatches() {
    server.on("POST /v1/nodes/n1/release", 202, operation("running", ""));
    server.on("GET /v1/operations/op-1?wait=1", 200, operation("succeeded", ""));
    server.on("GET /v1/operations/op-1?wait=30", 200, operation("succeeded", ""));
    server.on("GET /v1/nodes/n1", 200, NODE);
    assertEquals("", server.run("node release n1").err());
    Outcome watched =
        server.run(new Terminal(server.environment(), true, 80), "node", "release", "n1");
    assertTrue(
        watched.err().contains("\rnode-provision n1 [############............]  50%"),
        watched.err());
    assertTrue(watched.err().endsWith("\r\u001b[K"), "the line is taken away at the end");
  }

  @Test
  void doctorReportsAServerThatRefusesItsToken() {
    server.on(
        "GET /v1/system",
        401,
        "{\"code\":\"UNAUTHENTICATED\",\"detail\":\"the token is not known\"}");
    Outcome outcome = server.run("doctor");
    assertEquals(1, outcome.status());
    assertTrue(outcome.out().contains("the token is not known"), outcome.out());
    assertTrue(outcome.out().contains("M2_TOKEN_FILE"), outcome.out());
    assertFalse(outcome.out().contains(StandInServer.TOKEN));
  }

  @Test
  void completionKnowsTheCommands() {
    Outcome outcome = server.run("completion");
    assertEquals(0, outcome.status());
    assertTrue(outcome.out().contains("provision"));
  }

  @Test
  void whatIsRehearsedForTheCacheMeetsNoInternalError() {
    Outcome outcome = server.run("rehearse");
    assertEquals(0, outcome.status(), outcome.err());
    assertEquals("", outcome.err());
    assertTrue(server.requests().isEmpty(), "it has a stand-in of its own");
  }

  @Test
  void snapshotsAreListedForAllDisksOrForOne() {
    server.on("GET /v1/snapshots?limit=1000", 200, "{\"items\":[]}");
    server.on("GET /v1/snapshots?disk=d1&limit=1000", 200, "{\"items\":[]}");
    assertEquals(0, server.run("snapshot list").status());
    assertEquals(0, server.run("snapshot list --disk d1").status());
  }

  @Test
  void theLatestEventsArePrintedInTheOrderInWhichTheyHappened() {
    server.on(
        "GET /v1/events?limit=2",
        200,
        """
        {"items":[{"at":"2026-01-01T00:00:02.000Z","kind":"k","message":"then"},
                  {"at":"2026-01-01T00:00:01.000Z","kind":"k","message":"first"}],"next":"x"}
        """);
    String out = server.run("event list --limit 2").out();
    assertTrue(out.indexOf("first") < out.indexOf("then"), out);
  }
}
