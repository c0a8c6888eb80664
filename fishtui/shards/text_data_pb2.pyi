from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SampledData(_message.Message):
    __slots__ = ["name", "samples", "source"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    samples: _containers.RepeatedCompositeFieldContainer[Sentence]
    source: str
    def __init__(self, source: _Optional[str] = ..., name: _Optional[str] = ..., samples: _Optional[_Iterable[_Union[Sentence, _Mapping]]] = ...) -> None: ...

class Semantics(_message.Message):
    __slots__ = ["values"]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...

class Sentence(_message.Message):
    __slots__ = ["semantics", "texts"]
    SEMANTICS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    semantics: _containers.RepeatedCompositeFieldContainer[Semantics]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., semantics: _Optional[_Iterable[_Union[Semantics, _Mapping]]] = ...) -> None: ...

class TextData(_message.Message):
    __slots__ = ["name", "sentences", "source"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SENTENCES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    sentences: _containers.RepeatedCompositeFieldContainer[Sentence]
    source: str
    def __init__(self, source: _Optional[str] = ..., name: _Optional[str] = ..., sentences: _Optional[_Iterable[_Union[Sentence, _Mapping]]] = ...) -> None: ...
