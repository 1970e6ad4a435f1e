package io.malleable.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.cli.ApiClient;
import io.malleable.cli.CommandFailure;
import io.malleable.cli.Endpoint;
import java.net.URI;
import org.junit.jupiter.api.Test;

class LabMachinesTest {
  @Test
  void guestReachesLoopbackByTheAddressOfItsOwnNetwork() {
    assertEquals("http://10.0.2.2:8481/boot.ipxe", bootUrl("http://127.0.0.1:8481"));
    assertEquals("http://10.0.2.2:8481/boot.ipxe", bootUrl("http://0.0.0.0:8481"));
  }

  @Test
  void guestReachesAnotherAddressAsItIs() {
    assertEquals("http://192.0.2.7:80/boot.ipxe", bootUrl("http://192.0.2.7:80"));
  }

  @Test
  void listenerThatGuestsDoNotReachIsRefusedWithTheFlagToChange() {
    CommandFailure e =
        assertThrows(CommandFailure.class, () -> bootUrl("http://[2001:db8::1]:8481"));
    assertTrue(String.valueOf(e.hint()).contains("--boot-http"), e.hint());
  }

  @Test
  void labOfARemoteServerIsRefused() {
    ApiClient remote =
        new ApiClient(new Endpoint(URI.create("http://192.0.2.7:8480"), null, "default"));
    CommandFailure e = assertThrows(CommandFailure.class, () -> LabMachines.of(remote));
    assertTrue(String.valueOf(e.getMessage()).contains("remote"), e.getMessage());
  }

  private static String bootUrl(String listener) {
    return LabMachines.bootUrl(URI.create(listener));
  }
}
