package io.malleable.iscsi;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * What a stranger can send before and after login. In the normal test phase the corpus is replayed;
 * {@code script/fuzz} searches for more. Any exception but the declared ones is a finding.
 */
class ParserFuzzTest {
  private final BufferPool pool = new BufferPool(4L * BufferPool.BUFFER_BYTES, 1000);

  @FuzzTest(maxDuration = "")
  void pduStream(byte[] stream) {
    boolean digests = stream.length > 0 && (stream[0] & 1) != 0;
    NegotiatedParameters parameters =
        new NegotiatedParameters(digests, digests, false, true, 8192, 262144, 65536);
    try (PduReader reader =
        new PduReader(Channels.newChannel(new ByteArrayInputStream(stream)), pool)) {
      reader.fullFeaturePhase(BufferPool.MAX_SEGMENT_BYTES, parameters);
      while (true) {
        while (reader.next()) {
          byte[] data = new byte[reader.dataLength()];
          reader.buffer().clear().get(reader.dataOffset(), data);
        }
        reader.fill();
      }
    } catch (EOFException | ProtocolException expected) {
      // The two ways in which a stream that is not PDUs may end.
      if (pool.inUse() != 0) {
        throw new IllegalStateException("a buffer is lost", expected);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @FuzzTest(maxDuration = "")
  void loginText(byte[] text) {
    try {
      TextKeys keys = new TextKeys();
      keys.append(ByteBuffer.wrap(text), 0, text.length);
      Map<String, String> offered = keys.take();
      offered.values().forEach(ParserFuzzTest::binary);
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

  /** Bounded and repeatable, for every build; the seed is in the message of a failure. */
  @Test
  void mutationsOfTheCorpusFindNothing() throws IOException {
    long seed = 7143;
    Random random = new Random(seed);
    for (String method : List.of("pduStream", "loginText")) {
      List<byte[]> corpus = corpus(method);
      for (int i = 0; i < 20_000; i++) {
        byte[] input = mutate(corpus.get(random.nextInt(corpus.size())), random);
        try {
          if (method.equals("pduStream")) {
            pduStream(input);
          } else {
            loginText(input);
          }
        } catch (RuntimeException e) {
          throw new AssertionError(method + " " + HexFormat.of().formatHex(input), e);
        }
      }
    }
  }

  private static byte[] mutate(byte[] seed, Random random) {
    byte[] input = Arrays.copyOf(seed, Math.max(0, seed.length + random.nextInt(9) - 4));
    for (int i = 0; i < 1 + random.nextInt(6) && input.length > 0; i++) {
      int at = random.nextInt(input.length);
      input[at] =
          switch (random.nextInt(4)) {
            case 0 -> (byte) random.nextInt(256);
            case 1 -> (byte) (input[at] ^ (1 << random.nextInt(8)));
            case 2 -> (byte) 0xff;
            default -> 0;
          };
    }
    return input;
  }

  private static List<byte[]> corpus(String method) throws IOException {
    Path directory = Path.of("src/test/resources/io/malleable/iscsi/ParserFuzzTestInputs", method);
    List<byte[]> inputs = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        inputs.add(Files.readAllBytes(file));
      }
    }
    return inputs;
  }
}
