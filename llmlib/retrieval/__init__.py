"""What a model can look up: documents found and cited, and tools that it calls (lecture 17)."""

from .bm25 import BM25
from .calculator import CalculatorError, calculate
from .chunking import Section, chunk_text, split_sections
from .citations import CheckedAnswer, add_citations, check_citations, support
from .corpora import Passage, locate, python_docs, python_version, wikipedia_passages
from .dense import DenseRetriever, embed_once, minilm_encoder
from .faiss_index import FaissIndex
from .fusion import Fused, HybridRetriever, reciprocal_rank_fusion
from .hits import Hit, Retriever
from .measures import dcg, mean_reciprocal_rank, ndcg, recall_at_k, reciprocal_rank
from .pinning import Pinned, pin_questions
from .reading import (
    REFUSAL,
    SourcedAnswer,
    answer_from_sources,
    chat_writer,
    numbered_sources,
    rag_prompt,
)
from .tools import (
    Tool,
    ToolError,
    ToolRun,
    ToolStep,
    calculator_tool,
    parse_call,
    run_tools,
    search_tool,
    tool_instructions,
)
from .vector_index import Neighbours, VectorIndex

__all__ = [
    "BM25",
    "REFUSAL",
    "CalculatorError",
    "CheckedAnswer",
    "DenseRetriever",
    "FaissIndex",
    "Fused",
    "Hit",
    "HybridRetriever",
    "Neighbours",
    "Passage",
    "Pinned",
    "Retriever",
    "Section",
    "SourcedAnswer",
    "Tool",
    "ToolError",
    "ToolRun",
    "ToolStep",
    "VectorIndex",
    "add_citations",
    "answer_from_sources",
    "calculate",
    "calculator_tool",
    "chat_writer",
    "check_citations",
    "chunk_text",
    "dcg",
    "embed_once",
    "locate",
    "mean_reciprocal_rank",
    "minilm_encoder",
    "ndcg",
    "numbered_sources",
    "parse_call",
    "pin_questions",
    "python_docs",
    "python_version",
    "rag_prompt",
    "recall_at_k",
    "reciprocal_rank",
    "reciprocal_rank_fusion",
    "run_tools",
    "search_tool",
    "split_sections",
    "support",
    "tool_instructions",
    "wikipedia_passages",
]
