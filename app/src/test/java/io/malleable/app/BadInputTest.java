package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.app.TestApi.Reply;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** What is wrong is said with the field, the value and the remedy, and changes nothing. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class BadInputTest {
  private static final Set<String> WITHOUT_BODY =
      Set.of(
          "/expose",
          "/withdraw",
          "/flatten",
          "/undelete",
          "/abort",
          "/check",
          "/console",
          "/release");

  private Path directory;
  private TestServer server;
  private TestApi api;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    server = TestServer.start(directory.resolve("data"));
    api = server.api();
  }

  @AfterAll
  void stop() {
    server.close();
  }

  @Test
  void everyCallRefusesWhatIsNotJsonAndFieldsThatItDoesNotKnow() throws Exception {
    for (String call : api.document().calls().keySet()) {
      String method = call.substring(0, call.indexOf(' '));
      String path = call.substring(call.indexOf(' ') + 1).replaceAll("\\{[a-z]+\\}", "none");
      boolean takesBody =
          Set.of("POST", "PATCH").contains(method)
              && WITHOUT_BODY.stream().noneMatch(path::endsWith);
      if (takesBody) {
        for (String broken : List.of("{", "[]", "\"x\"", "", "{} {}", "nil", "[".repeat(10_000))) {
          assertEquals(400, api.send(method, path, broken).status(), call + " " + broken);
        }
        Reply unknown =
            api.send(method, path, "{\"nmae\":\"x\"}").expectProblem(400, "FIELD_UNKNOWN");
        assertEquals("nmae", unknown.body().path("field").asText(), call);
        assertTrue(unknown.body().path("hint").asText().startsWith("Known fields: "), call);
        api.send(method, path, "{\"name\":\"a\",\"name\":\"b\"}").expect(400);
      }
    }
  }

  @Test
  void everyCallRefusesQueryParametersThatItDoesNotKnow() throws Exception {
    for (String call : api.document().calls().keySet()) {
      String method = call.substring(0, call.indexOf(' '));
      String path = call.substring(call.indexOf(' ') + 1).replaceAll("\\{[a-z]+\\}", "none");
      if (!method.equals("HEAD")) {
        Reply reply = api.send(method, path + "?colour=red", method.equals("GET") ? null : "{}");
        reply.expectProblem(400, "PARAMETER_UNKNOWN");
        assertEquals("colour", reply.body().path("field").asText(), call);
      }
    }
  }

  @Test
  void everyResourceThatIsNotThereIsNotFound() throws Exception {
    for (String call : api.document().calls().keySet()) {
      if (call.startsWith("GET ") && call.contains("{")) {
        String path = call.substring(4).replaceAll("\\{[a-z]+\\}", "none");
        Reply reply = api.get(path).expectProblem(404, "NOT_FOUND");
        assertEquals("none", reply.body().path("value").asText(), call);
        assertFalse(reply.body().path("hint").asText().isEmpty(), call);
      }
    }
  }

  @Test
  void namesThatAreNotAllowedAreRefusedWithTheRule() throws Exception {
    for (String name : List.of("", "A", "-a", "a b", "a/b", "..", "\u00e4", "a".repeat(64))) {
      Reply reply =
          api.send(
              "POST",
              "/v1/projects",
              TestApi.JSON.writeValueAsString(java.util.Map.of("name", name)));
      reply.expectProblem(400, "NAME_INVALID");
      assertEquals("name", reply.body().path("field").asText());
      assertTrue(reply.body().path("hint").asText().contains("[a-z0-9]"), reply.body()::toString);
    }
    api.post("/v1/projects", "{'name':'188ed2eb-bec1-4204-9cbf-45bbccc71175'}")
        .expectProblem(400, "NAME_INVALID");
    api.post("/v1/projects", "{'name':null}").expectProblem(400, "FIELD_MISSING");
    api.post("/v1/projects", "{'name':7}").expectProblem(400, "FIELD_INVALID");
  }

  @Test
  void imagesThatCannotBeAreRefusedBeforeAnythingIsMade() throws Exception {
    Path empty = Files.createFile(directory.resolve("empty.raw"));
    Path text = Files.writeString(directory.resolve("text.raw"), "no image\n".repeat(200));
    Path qcow =
        Files.write(directory.resolve("cut.qcow2"), new byte[] {'Q', 'F', 'I', (byte) 0xfb});
    importing("{'path':'/does/not/exist'}").expectProblem(400, "IMAGE_SOURCE_MISSING");
    importing("{'path':'" + directory + "'}").expectProblem(400, "IMAGE_INVALID");
    importing("{'path':'" + empty + "'}").expectProblem(400, "IMAGE_INVALID");
    importing("{'path':'" + text + "'}").expectProblem(400, "IMAGE_INVALID");
    importing("{'path':'" + qcow + "'}").expect(400);
    importing("{'path':'relative.raw'}").expectProblem(400, "FIELD_INVALID");
    importing("{'url':'file:///etc/passwd'}").expectProblem(400, "FIELD_INVALID");
    importing("{'url':'https://user:secret@host/x'}").expectProblem(400, "FIELD_INVALID");
    importing("{}").expectProblem(400, "FIELD_MISSING");
    importing("{'path':'/a','url':'http://b/c'}").expectProblem(400, "FIELD_CONFLICT");
    api.post("/v1/images", "{'name':'x','source':{'path':'" + text + "'},'format':'zip'}")
        .expectProblem(400, "FIELD_INVALID");
    assertEquals(List.of(), api.names("/v1/images", 10));
  }

  private Reply importing(String source) throws Exception {
    return api.post("/v1/images", "{'name':'x','source':" + source + "}");
  }

  @Test
  void nodesThatCannotBeAreRefused() throws Exception {
    api.post("/v1/nodes", "{'name':'n'}").expectProblem(400, "FIELD_MISSING");
    api.post("/v1/nodes", "{'name':'n','nics':[]}").expectProblem(400, "FIELD_INVALID");
    api.post("/v1/nodes", "{'name':'n','nics':[null]}").expectProblem(400, "FIELD_MISSING");
    for (String mac : List.of("", "52:54", "52:54:00:12:34:5g", "ff:ff:ff:ff:ff:ff")) {
      Reply reply = node("n", mac, "");
      reply.expectProblem(400, "MAC_INVALID");
      assertEquals("nics[0].mac", reply.body().path("field").asText());
    }
    node("n", "52:54:00:00:09:01", ",'firmware':'coreboot'").expectProblem(400, "FIELD_INVALID");
    node("n", "52:54:00:00:09:01", ",'bmc':'telnet://x'").expectProblem(400, "BMC_INVALID");
    Reply secret =
        node("n", "52:54:00:00:09:01", ",'bmc':'ipmi://admin:s3cret@bmc'")
            .expectProblem(400, "BMC_INVALID");
    assertFalse(secret.raw().body().contains("s3cret"), "a password is not repeated");
    node("n", "52:54:00:00:09:01", "").expect(201);
    Reply taken = node("m", "52-54-00-00-09-01", "").expectProblem(409, "MAC_TAKEN");
    assertEquals("52:54:00:00:09:01", taken.body().path("value").asText());
    node("n", "52:54:00:00:09:02", "").expectProblem(409, "NAME_TAKEN");
    api.post("/v1/nodes/n/provision", "{}").expectProblem(400, "FIELD_MISSING");
    api.post("/v1/nodes/n/provision", "{'image':'a','disk':'b'}")
        .expectProblem(400, "FIELD_CONFLICT");
    api.post("/v1/nodes/n/provision", "{'image':'none'}").expectProblem(404, "NOT_FOUND");
    api.post("/v1/nodes/n/release", "").expectProblem(409, "NODE_NOT_PROVISIONED");
    api.post("/v1/nodes/n/failover", "{'to':'n'}").expect(400);
    api.post("/v1/nodes/n/power", "{'action':'explode'}").expectProblem(400, "FIELD_INVALID");
    api.post("/v1/nodes/n/power", "{'action':'on'}").expectProblem(409, "NODE_HAS_NO_POWER_DRIVER");
    JsonNode nodes = api.get("/v1/nodes").body();
    assertEquals(1, nodes.path("items").size());
    api.delete("/v1/nodes/n").expect(204);
  }

  private Reply node(String name, String mac, String more) throws Exception {
    return api.post(
        "/v1/nodes", "{'name':'" + name + "','nics':[{'mac':'" + mac + "'}]" + more + "}");
  }

  @Test
  void aBodyBeyondTheBoundIsRefused() throws Exception {
    String large = "{\"name\":\"" + "a".repeat(1 << 20) + "\"}";
    api.send("POST", "/v1/projects", large).expectProblem(413, "BODY_TOO_LARGE");
  }

  @Test
  void pathsAndMethodsThatAreNotThereAreRefused() throws Exception {
    api.get("/v1/nothing").expectProblem(404, "PATH_UNKNOWN");
    api.get("/").expectProblem(404, "PATH_UNKNOWN");
    Reply reply = api.send("PUT", "/v1/nodes", "{}").expectProblem(405, "METHOD_NOT_ALLOWED");
    assertEquals("GET, POST", reply.header("Allow"));
  }
}
