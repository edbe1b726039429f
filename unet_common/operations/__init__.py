"""Operations that TensorFlow lacks and no API changes: plain TensorFlow for graphs and eager mode."""
