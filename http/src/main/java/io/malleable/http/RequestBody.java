package io.malleable.http;

import io.helidon.http.BadRequestException;
import io.helidon.http.HttpException;
import io.helidon.http.RequestException;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.ServerRequest;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * The body of a request. A peer that breaks the protocol in it is a {@link BadRequestException} or
 * another of Helidon's, which a handler passes on; the protocol itself throws whatever its parser
 * stumbles over.
 */
public final class RequestBody extends FilterInputStream {
  private RequestBody(InputStream body) {
    super(body);
  }

  /** Empty when there is none. */
  public static InputStream of(ServerRequest request) {
    return request.content().hasEntity()
        ? new RequestBody(request.content().inputStream())
        : InputStream.nullInputStream();
  }

  private interface Reading {
    int read() throws IOException;
  }

  private static int read(Reading reading) throws IOException {
    try {
      return reading.read();
    } catch (CloseConnectionException | RequestException | HttpException known) {
      throw known;
    } catch (RuntimeException malformed) {
      throw new BadRequestException("the body of the request is malformed", malformed);
    }
  }

  @Override
  public int read() throws IOException {
    return read(in::read);
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    return read(() -> in.read(into, offset, length));
  }

  @Override
  public void close() throws IOException {
    int _ =
        read(() -> {
          in.close();
          return 0;
        });
  }
}
