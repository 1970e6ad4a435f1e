package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.control.ResourceName;
import io.malleable.control.SshKeys;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class IdentityDriveTest {
  private static final String KEY =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0vZz0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ops@example";

  @TempDir private Path directory;

  @Test
  void theDriveSaysWhoTheNodeIsAndWhoMayComeIn() {
    UUID disk = UUID.randomUUID();
    String content = content(IdentityUnit.of(disk, "node-7", List.of(KEY), Optional::empty));
    assertTrue(content.contains("instance-id: \"" + disk + "\""), "a new instance for each clone");
    assertTrue(content.contains("local-hostname: \"node-7\""));
    assertTrue(content.contains(KEY));
    assertTrue(content.contains("CIDATA"), "the label that cloud-init looks for");
  }

  @Test
  void aNodeWithAnyLegalNameGetsItsDrive() {
    Map<String, String> hostNames =
        Map.of(
            "rack_1",
            "rack-1",
            "node-",
            "node",
            "n.",
            "n",
            "a_.-b..c",
            "a.b.c",
            "9._-",
            "9",
            "7" + "_".repeat(62),
            "7");
    hostNames.forEach((name, hostName) -> {
      ResourceName.check("name", name);
      String content =
          content(IdentityUnit.of(UUID.randomUUID(), name, List.of(KEY), Optional::empty));
      assertTrue(content.contains("local-hostname: \"" + hostName + "\""), name);
    });
  }

  @Test
  void theDriveHoldsAsManyKeysAsAllSourcesMayGive() throws Exception {
    String key = KEY + "\\".repeat(256 - "ops@example".length());
    List<String> most = Collections.nCopies(SshKeys.MAX_KEYS, key);
    Path file = directory.resolve("many.pub");
    Files.write(file, most);
    List<String> ofAll = SshKeyFile.read(file);
    List<String> all = new ArrayList<>(ofAll);
    all.addAll(most);
    all.addAll(most);
    IdentityUnit.of(UUID.randomUUID(), "n", all, Optional::empty);
    String long8k = "ssh-rsa " + "A".repeat(8192);
    Files.write(file, Collections.nCopies(17, long8k));
    StartException e = assertThrows(StartException.class, () -> SshKeyFile.read(file));
    assertTrue(String.valueOf(e.getMessage()).contains("characters"), e.getMessage());
  }

  @Test
  void theDriveIsTheSameAfterARestart() {
    UUID disk = UUID.randomUUID();
    IdentityUnit first = IdentityUnit.of(disk, "n", List.of(KEY), Optional::empty);
    IdentityUnit second = IdentityUnit.of(disk, "n", List.of(KEY), Optional::empty);
    assertEquals(first.identity(), second.identity());
    assertEquals(content(first), content(second));
    assertTrue(first.readOnly());
    assertEquals(0, first.sizeBytes() % first.blockSizeBytes());
  }

  @Test
  void theReportGoesWhereTheMachineFoundUsAndTheSizeStays() {
    AtomicReference<Optional<String>> url = new AtomicReference<>(Optional.empty());
    IdentityUnit unit = IdentityUnit.of(UUID.randomUUID(), "n", List.of(KEY), url::get);
    assertFalse(content(unit).contains("phone_home"));
    long size = unit.sizeBytes();
    url.set(Optional.of("http://" + "h".repeat(253) + ":8481/phone-home/" + "t".repeat(64)));
    assertTrue(content(unit).contains("url: \"" + url.get().orElseThrow() + "\""));
    assertEquals(size, unit.sizeBytes());
  }

  @Test
  void aKeyFileIsReadLineByLineAndWrongOnesAreNamed() throws Exception {
    Path file = directory.resolve("keys.pub");
    Files.writeString(file, "# operators\n\n" + KEY + "\n");
    assertEquals(List.of(KEY), SshKeyFile.read(file));
    Files.writeString(file, KEY + "\nnot a key\n");
    StartException wrong = assertThrows(StartException.class, () -> SshKeyFile.read(file));
    assertTrue(String.valueOf(wrong.getMessage()).contains("line 2"), wrong.getMessage());
    Files.writeString(file, "");
    assertThrows(StartException.class, () -> SshKeyFile.read(file));
    assertThrows(StartException.class, () -> SshKeyFile.read(directory.resolve("none")));
  }

  @Test
  void eachCloneIsANewInstanceAndAFailoverKeepsItWithItsKeys() throws Exception {
    Path file = TestServer.image(directory.resolve("base.raw"), 1);
    try (TestServer server = TestServer.start(directory.resolve("data"))) {
      TestApi api = server.api();
      api.succeeded(
          api.post(
              "/v1/images", "{'name':'base','format':'raw','source':{'path':'" + file + "'}}"));
      for (int i = 1; i <= 3; i++) {
        api.post("/v1/nodes", "{'name':'n" + i + "','nics':[{'mac':'" + mac(i) + "'}]}")
            .expect(201);
      }
      api.post("/v1/nodes/n1/provision", "{'image':'base','sshKeys':['mine']}")
          .expectProblem(400, "FIELD_INVALID");
      api.post("/v1/nodes/n1/provision", "{'image':'base','sshKeys':['" + KEY + "']}").expect(202);
      api.post("/v1/nodes/n2/provision", "{'image':'base'}").expect(202);
      String first = drive(server, 1);
      String second = drive(server, 2);
      assertTrue(first.contains("local-hostname: \"n1\""), first);
      assertTrue(first.contains(KEY), "the key that was given to provision");
      assertTrue(
          first.contains("url: \"http://" + server.addresses().bootHttp() + "/phone-home/"), first);
      assertFalse(second.contains(KEY), "keys are of one node");
      assertNotEquals(instance(first), instance(second));
      api.post("/v1/nodes/n1/failover", "{'to':'n3'}").expect(202);
      String moved = drive(server, 3);
      assertEquals(instance(first), instance(moved));
      assertTrue(moved.contains("local-hostname: \"n3\""), moved);
      assertTrue(moved.contains(KEY), "keys move with the drive");
    }
  }

  private static String instance(String drive) {
    int start = drive.indexOf("instance-id: ");
    assertTrue(start > 0, "it names an instance");
    return drive.substring(start, drive.indexOf('\n', start));
  }

  private static String mac(int node) {
    return "52:54:00:00:0c:0" + node;
  }

  /** The second unit, read as the machine's firmware would log in. */
  private String drive(TestServer server, int node) throws Exception {
    String script = "";
    while (!script.contains("sanboot")) {
      script = script(server, mac(node));
    }
    Path secret = Files.writeString(directory.resolve("secret"), set(script, "password"));
    Path copy = directory.resolve("cidata.raw");
    String target = script.substring(script.indexOf("iqn.2026-11.io.malleable:"));
    Programs.run(
        List.of(
            "qemu-img",
            "convert",
            "--object",
            "secret,id=chap,file=" + secret,
            "--image-opts",
            "driver=iscsi,transport=tcp,portal="
                + server.addresses().iscsi()
                + ",target="
                + target.lines().findFirst().orElseThrow().split(" ", 2)[0]
                + ",lun=1,user="
                + set(script, "username")
                + ",password-secret=chap,initiator-name="
                + set(script, "initiator-iqn"),
            "-O",
            "raw",
            copy.toString()));
    String content = Files.readString(copy, StandardCharsets.ISO_8859_1);
    assertEquals("CIDATA", content.substring(0x8028, 0x802e), "ECMA-119 8.4.7, volume identifier");
    return content;
  }

  private static String script(TestServer server, String mac) throws Exception {
    URI url =
        URI.create(
            "http://" + server.addresses().bootHttp() + "/boot/" + mac.replace(':', '-') + ".ipxe");
    return server
        .api()
        .client()
        .send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  private static String set(String script, String name) {
    return script
        .lines()
        .filter(line -> line.startsWith("set " + name + " "))
        .map(line -> line.substring(name.length() + 5))
        .findFirst()
        .orElseThrow();
  }

  private static String content(IdentityUnit unit) {
    ByteBuffer all = ByteBuffer.allocate((int) unit.sizeBytes());
    unit.read(0, all);
    return new String(all.array(), StandardCharsets.ISO_8859_1);
  }
}
