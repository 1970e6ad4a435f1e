package io.malleable.iscsi;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.ByteBuffer;
import java.util.Map;

/** The text keys of a stranger. Any exception but the declared ones is a finding. */
class LoginTextFuzzTest {
  @FuzzTest(maxDuration = "")
  void loginText(byte[] text) {
    try {
      TextKeys keys = new TextKeys();
      keys.append(ByteBuffer.wrap(text), 0, text.length);
      Map<String, String> offered = keys.take();
      offered.values().forEach(LoginTextFuzzTest::binary);
      new Negotiation(true).answer(offered);
    } catch (ProtocolException expected) {
      // Told to the initiator, whose login then ends.
      return;
    }
  }

  private static void binary(String value) {
    try {
      Chap.binary("CHAP_R", value);
    } catch (Chap.AuthenticationException expected) {
      return;
    }
  }
}
