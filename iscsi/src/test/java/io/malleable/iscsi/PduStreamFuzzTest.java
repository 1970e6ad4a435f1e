package io.malleable.iscsi;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.Channels;

/** How a stranger's bytes are cut into PDUs. Any exception but the declared ones is a finding. */
class PduStreamFuzzTest {
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
}
